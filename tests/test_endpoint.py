"""An OpenAI-compatible endpoint that fails at times: every sample has an outcome, none is lost."""

import base64
import io
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image as Pil

from rftcore import parsers, rewards
from rftcore.errors import ModelError
from rftcore.evaluation.splits import Drawn, evaluate_split
from rftcore.images import Image
from rftcore.models.endpoint import Endpoint, Settings
from rftcore.scoring import Scorer
from rftcore.types import Prompt, Sample, Task, Term


class Numbers:
    splits = ("val",)

    def __init__(self, count):
        self.count = count

    def size(self, split):
        return self.count

    def sample(self, split, index):
        return Sample(f"val-{index}", f"Which number is val {index}?", str(index))


class Server(ThreadingHTTPServer):
    """Answers with the number in the question; `faults` has what to do instead, by request."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, faults=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults = faults or (lambda number, question, times: None)
        self.lock, self.number = threading.Lock(), 0
        self.times, self.answered, self.bodies = Counter(), Counter(), []
        self.open = self.most_open = 0
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """A cut connection is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Be quiet."""

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][0]["content"][-1]["text"]
        with server.lock:
            server.open += 1
            server.most_open = max(server.open, server.most_open)
            server.number += 1
            server.times[question] += 1
            server.bodies.append((body, self.headers.get("Authorization"), self.path))
            fault = server.faults(server.number, question, server.times[question])
        try:
            self._answer(fault, question)
        finally:
            with server.lock:
                server.open -= 1

    def _answer(self, fault, question):
        if fault == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
            self.close_connection = True
            return
        status = fault or 200
        text = question.rpartition(" ")[2].rstrip("?")
        answer = {
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 3},
        }
        data = json.dumps(answer if status == 200 else {"error": "later"}).encode()
        if status == 200:
            with self.server.lock:
                self.server.answered[question] += 1
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def serve():
    servers = []

    def make(faults=None):
        servers.append(Server(faults))
        return servers[-1]

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def task(count):
    ask = lambda sample: Prompt(sample.question, sample.images)  # noqa: E731
    terms = {"accuracy": Term(rewards.exact)}
    return Task("numbers", Numbers(count), ask, parsers.Integer(0, 9999), terms)


def measure(server, count, tmp_path=None, **options):
    settings = Settings(
        server.url, backoff_s=0.001, responses=tmp_path and tmp_path / "responses.jsonl"
    )
    with Endpoint("m", settings) as endpoint, Scorer(task(count)) as scorer:
        found = evaluate_split(
            endpoint, task(count), "val", scorer=scorer, progress=False, **options
        )
    return *found, endpoint


def test_of_1000_samples_each_has_an_outcome_though_a_twentieth_fails_and_connections_are_cut(
    serve, tmp_path
):
    def faults(number, question, times):
        if number in (300, 700):
            return "cut"
        return (429, 500)[number % 2] if number % 20 == 7 else None

    server = serve(faults)
    score, rows, endpoint = measure(server, 1000, tmp_path)

    assert (score.n, score.accuracy, score.errors, endpoint.failed) == (1000, 1.0, 0, 0)
    assert [row.answer for row in rows] == [str(index) for index in range(1000)]
    assert {*server.answered.values()} == {1}
    assert endpoint.asked == server.number > 1000
    assert server.most_open <= 8
    again = measure(server, 1000, tmp_path)
    assert (again[0], again[1], again[2].asked) == (score, rows, 0)


def test_a_stopped_evaluation_does_not_ask_again_what_was_answered(serve, tmp_path):
    server = serve(lambda number, *_: 401 if number == 150 else None)
    with pytest.raises(ModelError, match="refuses every request"):
        measure(server, 300, tmp_path)
    with (tmp_path / "responses.jsonl").open("ab") as file:
        file.write(b'{"request": "torn')
    score, _, _ = measure(server, 300, tmp_path)

    assert score.accuracy == 1.0
    assert {*server.answered.values()} == {1}


def test_a_request_that_never_succeeds_is_a_wrong_answer_that_is_counted(serve, tmp_path):
    broken = lambda number, question, times: 500 if question.endswith(" 3?") else None  # noqa: E731
    score, rows, _ = measure(serve(broken), 10, tmp_path)
    mended, _, endpoint = measure(serve(), 10, tmp_path)

    assert (score.n, score.errors, score.accuracy) == (10, 1, 0.9)
    assert (rows[3].correct, rows[3].notes["request"][:8]) == (False, "HTTP 500")
    assert (mended.errors, mended.accuracy, endpoint.asked) == (0, 1.0, 1)


def test_the_first_further_try_says_once_what_is_waited_for(serve, logged):
    server = serve(lambda number, question, times: 503 if times == 1 else None)
    score, _, _ = measure(server, 20)
    [line] = [each for each in logged.messages if "HTTP 503" in each]

    assert score.accuracy == 1.0
    assert line.startswith(f"{server.url}: HTTP 503")
    assert "is tried up to " in line


def test_an_error_that_will_not_pass_is_not_asked_again(serve):
    server = serve(lambda number, question, times: 400 if question.endswith(" 3?") else None)
    score, _, endpoint = measure(server, 5)

    assert (score.errors, endpoint.asked) == (1, 5)


def test_a_request_has_the_key_the_limit_and_the_pixels_of_each_image(serve, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    file = io.BytesIO()
    Pil.new("RGB", (5, 4), "red").save(file, "JPEG")
    server = serve()
    prompt = Prompt("Which number is val 7?", (Image.from_bytes(file.getvalue()),))
    with Endpoint("m", Settings(server.url)) as endpoint:
        (found,) = endpoint.complete([prompt], 99)
    ((body, key, path),) = server.bodies
    sent = body["messages"][0]["content"][0]["image_url"]["url"].removeprefix(
        "data:image/png;base64,"
    )

    assert (found.text, found.tokens, found.read, found.clipped) == ("7", 3, 11, False)
    assert (key, path) == ("Bearer secret", "/v1/chat/completions")
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 99, 0.0)
    with Pil.open(io.BytesIO(base64.b64decode(sent))) as image:
        assert image.tobytes() == prompt.images[0].open().tobytes()


def test_drawn_completions_have_a_seed_each_and_are_asked_once(serve, tmp_path):
    server = serve()
    score, _, _ = measure(server, 6, tmp_path, drawn=Drawn(3, 0.7))
    seeds = [body["seed"] for body, _, _ in server.bodies if "seed" in body]

    assert (score.sampled.k, score.sampled.accuracy.accuracy) == (3, 1.0)
    assert len(seeds) == len({*seeds}) == 18


def test_an_address_that_is_none_is_an_error():
    with pytest.raises(ModelError, match="up to /v1"):
        Endpoint("m", Settings("localhost:8000"))
