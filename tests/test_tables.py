"""CSV, Parquet and Hugging Face datasets: the same samples as the same rows in JSON lines."""

import csv
import io
import json
import tracemalloc
from decimal import Decimal
from pathlib import Path

import datasets as hf
import pandas
import pyarrow
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as pil
from pyarrow import parquet

from rftcore.cli import main
from rftcore.datasets import CsvDataset, HfDataset, JsonlDataset, ParquetDataset
from rftcore.datasets.arrow_rows import ParquetSource
from rftcore.errors import DataError, RftError, SampleError
from rftcore.types import Dataset, Sample

COLUMNS = ("id", "question", "answer", "image", "cot", "split", "kind")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def png(color: int) -> bytes:
    data = io.BytesIO()
    pil.new("RGB", (8, 6), (color, 40, 90)).save(data, "PNG")
    return data.getvalue()


def rows(count: int = 30) -> list[dict[str, str | None]]:
    """Rows whose images are shared by three, some with a cot; half name no split."""
    return [
        {
            "id": f"a{at}",
            "question": f'How many, "{at}"?\nOf them, all;',
            "answer": f"00{at}",
            "image": f"{at // 3}.png",
            "cot": f"I count {at}." if at % 2 else None,
            "split": "ood-x" if at >= 24 else None,
            "kind": "",
        }
        for at in range(count)
    ]


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    for at in range(10):
        (made / f"{at}.png").write_bytes(png(at))
    lines = [json.dumps({k: v for k, v in row.items() if v}) for row in rows()]
    (made / "rows.jsonl").write_text("\n".join(lines))
    return made


def write_csv(path: Path, found: list[dict[str, str | None]] | None = None, **options) -> Path:
    encoding = options.pop("encoding", "utf-8")
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, **options)
        writer.writeheader()
        writer.writerows(rows() if found is None else found)
    return path


def every(dataset: Dataset) -> dict[str, list[Sample]]:
    return {s: [dataset.sample(s, at) for at in range(dataset.size(s))] for s in dataset.splits}


def content(sample: Sample) -> tuple[object, ...]:
    pixels = [image.open().tobytes() for image in sample.images]
    return sample.id, sample.question, sample.gold, sample.cot, pixels, {**sample.meta}


def contents(dataset: Dataset) -> list[tuple[object, ...]]:
    return sorted((content(s) for found in every(dataset).values() for s in found), key=str)


def message(error: RftError) -> str:
    return f"{error.origin}: {error}"


# --- the same samples ---------------------------------------------------------


def test_a_csv_file_has_the_samples_and_splits_of_the_same_json_lines(folder):
    written = every(CsvDataset(write_csv(folder / "rows.csv")))
    plain = every(JsonlDataset(folder / "rows.jsonl"))

    assert {s: [*map(content, f)] for s, f in written.items()} == {
        s: [*map(content, f)] for s, f in plain.items()
    }


@pytest.mark.parametrize("embed", ["paths", "bytes", "structs", "list of structs"])
def test_a_parquet_file_has_the_samples_of_the_same_json_lines(folder, embed):
    def image(name: str):
        data = (folder / name).read_bytes()
        made = {"paths": name, "bytes": data, "structs": {"bytes": data, "path": name}}
        return made.get(embed, [{"bytes": data, "path": None}])

    found = [{**row, "kind": None, "image": image(row["image"])} for row in rows()]
    pandas.DataFrame(found).to_parquet(folder / "rows.parquet")

    assert contents(ParquetDataset(folder / "rows.parquet")) == contents(
        JsonlDataset(folder / "rows.jsonl")
    )


def hub_rows(folder: Path, found: list[dict[str, str | None]]) -> hf.Dataset:
    kept = [{k: v for k, v in row.items() if k not in ("kind", "split")} for row in found]
    table = hf.Dataset.from_list([{**r, "image": str(folder / r["image"])} for r in kept])
    return table.cast_column("image", hf.Image())


@pytest.mark.parametrize("form", ["saved", "parquet folder", "saved alone"])
def test_a_hugging_face_folder_has_the_samples_of_the_same_json_lines(folder, tmp_path, form):
    place = tmp_path / "hub"
    if form == "saved alone":
        hub_rows(folder, rows()).save_to_disk(place)
    elif form == "saved":
        hf.DatasetDict(train=hub_rows(folder, rows())).save_to_disk(place)
    else:
        place.mkdir()
        hub_rows(folder, rows()).to_parquet(place / "train-00000-of-00001.parquet")

    made = HfDataset(place)
    assert contents(made) == contents(JsonlDataset(folder / "rows.jsonl"))
    assert {*made.splits} >= {"sft", "rl", "val"}


def test_an_image_folder_is_read_with_its_metadata(folder, tmp_path):
    place = tmp_path / "images" / "train"
    place.mkdir(parents=True)
    lines = []
    for at in range(30):
        (place / f"{at}.png").write_bytes(png(at))
        lines.append(json.dumps({"file_name": f"{at}.png", "question": "?", "answer": at}))
    (place / "metadata.jsonl").write_text("\n".join(lines))

    made = every(HfDataset(place.parent))
    golds = {
        s.gold: s.images[0].open().getpixel((0, 0))[0] for found in made.values() for s in found
    }
    assert golds == {str(at): at for at in range(30)}


def test_a_source_with_val_and_test_of_its_own_gets_no_training_rows_there(folder, tmp_path):
    parts = {"train": rows()[:18], "validation": rows()[18:21], "test": rows()[21:]}
    hf.DatasetDict({n: hub_rows(folder, f) for n, f in parts.items()}).save_to_disk(tmp_path / "h")
    made = HfDataset(tmp_path / "h")

    ids = {split: {s.id for s in found} for split, found in every(made).items()}
    assert ids["val"] == {"a18", "a19", "a20"}
    assert ids["test"] == {f"a{at}" for at in range(21, 30)}
    assert ids["rl"] | ids["sft"] == {f"a{at}" for at in range(18)}
    assert made.sample("val", 1).origin.endswith("row 20 (validation row 2)")


def test_splits_are_chosen_by_name_and_never_guessed(folder, tmp_path):
    parts = {"train": rows()[:18], "testA": rows()[18:24], "night": rows()[24:]}
    hf.DatasetDict({n: hub_rows(folder, f) for n, f in parts.items()}).save_to_disk(tmp_path / "h")

    with pytest.raises(DataError, match=r"what is split 'testA'.*train, testA, night"):
        HfDataset(tmp_path / "h").splits  # noqa: B018
    made = HfDataset(tmp_path / "h", rl="train", test="testA", ood={"dark": "night"})
    assert {s: made.size(s) for s in made.splits} == {"rl": 18, "test": 6, "ood-dark": 6}
    with pytest.raises(DataError, match="no such split"):
        HfDataset(tmp_path / "h", test="testB").splits  # noqa: B018
    with pytest.raises(DataError, match="two"):
        HfDataset(tmp_path / "h", val="night", test="night").splits  # noqa: B018


def test_a_label_is_its_name_and_not_its_number(tmp_path):
    features = hf.Features(
        {"question": hf.Value("string"), "answer": hf.ClassLabel(names=["cat", "dog"])}
    )
    table = hf.Dataset.from_dict(
        {"question": [f"{at}?" for at in range(40)], "answer": [0, 1] * 20}, features=features
    )
    table.to_parquet(tmp_path / "rows.parquet")
    hf.DatasetDict(train=table).save_to_disk(tmp_path / "saved")

    for made in (ParquetDataset(tmp_path / "rows.parquet"), HfDataset(tmp_path / "saved")):
        golds = {s.question: s.gold for found in every(made).values() for s in found}
        assert golds == {f"{at}?": ("cat", "dog")[at % 2] for at in range(40)}


def test_columns_are_renamed_and_parts_of_lists_taken(tmp_path):
    found = [
        {"ask": f"{at}?", "answers": [f"x{at}", "y"], "objects": {"bbox": [[at, 0, 50, 60.5]]}}
        for at in range(30)
    ]
    pandas.DataFrame(found).to_parquet(tmp_path / "rows.parquet")
    made = ParquetDataset(
        tmp_path / "rows.parquet", columns={"question": "ask", "answer": "answers.0"}
    )
    boxed = ParquetDataset(
        tmp_path / "rows.parquet", columns={"question": "ask", "answer": "objects.bbox"}
    )

    for sample in (s for found in every(made).values() for s in found):
        assert sample.gold == sample.meta["answers"][0] == f"x{sample.question[:-1]}"
    sample = every(boxed)["rl"][0]
    assert sample.gold == f"[[{sample.question[:-1]}.0, 0.0, 50.0, 60.5]]"
    with pytest.raises(DataError, match=r"dataset\.columns\.question = 'aks'.*ask"):
        ParquetDataset(tmp_path / "rows.parquet", columns={"question": "aks"}).splits  # noqa: B018


def test_values_of_any_type_become_json(tmp_path):
    when = pandas.Timestamp("2026-01-02 03:04:05")
    found = [
        {"question": f"{n}?", "answer": n, "day": when, "price": Decimal("1.50"), "score": score}
        for n, score in enumerate([float("nan")] + [0.5] * 29)
    ]
    pandas.DataFrame(found).to_parquet(tmp_path / "rows.parquet")
    samples = [s for f in every(ParquetDataset(tmp_path / "rows.parquet")).values() for s in f]

    by_gold = {sample.gold: sample.meta for sample in samples}
    assert by_gold["1"] == {"day": "2026-01-02 03:04:05", "price": "1.50", "score": 0.5}
    assert "score" not in by_gold["0"]


# --- traps of CSV -------------------------------------------------------------

cells = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), min_size=1, max_size=20
)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.tuples(cells, cells).filter(lambda t: t[0].strip() and t[1].strip())))
def test_any_cells_read_back(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    write_csv(
        path,
        [
            {"question": q, "answer": "5", "kind": k, "split": "rl", "id": str(n)}
            for n, (q, k) in enumerate(texts)
        ],
    )
    from rftcore.datasets.csv_rows import CsvSource

    read = [row for _, row in CsvSource(path).rows()]
    assert [(row["question"], row["kind"]) for row in read] == texts


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_decides_the_encoding(folder, encoding):
    found = [{**row, "question": f"¿{row['id']} ü 北?"} for row in rows()]
    path = write_csv(folder / "rows.csv", found, encoding=encoding)

    questions = {s.question for f in every(CsvDataset(path)).values() for s in f}
    assert questions == {row["question"] for row in found}


@pytest.mark.parametrize("row", [1, 2, 3, 60])
def test_a_byte_that_is_not_text_is_named_with_its_row_as_a_spreadsheet_counts(folder, row):
    lines = [b"question,answer", *(b"How many?,%d" % at for at in range(70))]
    lines[row - 1] = lines[row - 1].replace(b"an", b"\xe4n")
    (path := folder / "rows.csv").write_bytes(b"\n".join(lines))

    with pytest.raises(DataError, match=rf"rows.csv row {row}: not utf-8"):
        CsvDataset(path).splits  # noqa: B018


@pytest.mark.parametrize("kind", [CsvDataset, ParquetDataset])
@pytest.mark.parametrize(("name", "field"), [("qestion", "question"), ("anser", "answer")])
def test_a_misspelt_column_is_answered_with_the_columns_and_the_setting(folder, kind, name, field):
    table, path = pandas.DataFrame(rows()).rename(columns={field: name}), folder / "rows.table"
    table.to_csv(path, index=False) if kind is CsvDataset else table.to_parquet(path)

    with pytest.raises(DataError, match=rf"dataset\.columns\.{field}=COLUMN.*Columns: .*{name}"):
        kind(path).splits  # noqa: B018
    with pytest.raises(DataError, match=rf"no column is named {field} .*Did you mean '{name}'"):
        kind(path).splits  # noqa: B018
    assert every(kind(path, columns={field: name}))


def test_another_encoding_is_an_error_that_names_the_setting(folder):
    found = [{**row, "question": f"Wie groß ist {row['id']}?"} for row in rows()]
    path = write_csv(folder / "rows.csv", found, encoding="cp1252")

    with pytest.raises(DataError, match=r"not utf-8.*dataset.encoding=cp1252"):
        CsvDataset(path).splits  # noqa: B018
    made = every(CsvDataset(path, encoding="cp1252"))
    assert all("groß" in s.question for found in made.values() for s in found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("question;answer\na;5\n", r"delimiter seems to be ';'"),
        ("question\tanswer\na\t5\n", r"delimiter seems to be"),
        ("question,answer,answer\na,5,6\n", "two columns are named 'answer'"),
        ("\n", "no header"),
        ("", "no header"),
        ("question,answer\n", "has no rows"),
        ("question,answer\na,5,6\n", r"row 2.*3 cells, but the header has 2"),
        ("question,answer\na,5\n\nb\n", r"row 4.*1 cells, but the header has 2"),
        ('question,answer\na,5\n"b,6\n', r"row 3.*not CSV.*quote"),
        ('question,answer\n"a"b,5\n', r"row 2.*not CSV"),
        ("question,answer\na,\n", r"row 2.*no 'answer'"),
        ("question,label\na,5\n", r"no column is named answer.*dataset\.columns\.answer=label "),
        ("question,answer,image\na,5,../b.png\n", r"row 2.*outside the folder"),
        ("question,answer,split\na,5,train\n", r"row 2.*use rl"),
        ("question,answer,,kind\na,5,x,y\n", r"row 2.*without a name"),
    ],
)
def test_a_broken_file_is_an_error_that_names_file_and_row(tmp_path, text, reason):
    (tmp_path / "rows.csv").write_text(text)

    with pytest.raises((DataError, SampleError)) as caught:
        CsvDataset(tmp_path / "rows.csv").splits  # noqa: B018
    assert str(tmp_path / "rows.csv") in message(caught.value)
    with pytest.raises((DataError, SampleError), match=f"(?s){reason}"):
        raise type(caught.value)(message(caught.value))


def test_the_index_column_of_pandas_is_ignored_and_images_may_be_a_list(folder):
    found = [
        {"question": f"{n}?", "answer": "007", "images": f'["{n}.png", "0.png"]'}
        for n in range(1, 9)
    ]
    frame = pandas.DataFrame(found * 1)
    frame.to_csv(folder / "rows.csv")

    samples = [s for f in every(CsvDataset(folder / "rows.csv")).values() for s in f]
    assert {s.gold for s in samples} == {"007"}
    assert all(len(s.images) == 2 and not s.meta for s in samples)


@pytest.mark.parametrize("options", [{"delimiter": ";;"}, {"encoding": "utf-99"}])
def test_options_that_mean_nothing_are_errors(folder, options):
    with pytest.raises(DataError, match=r"delimiter|encoding"):
        CsvDataset(write_csv(folder / "rows.csv"), **options).splits  # noqa: B018


# --- faults, speed and memory -------------------------------------------------


def test_a_broken_image_names_its_row_in_the_table(folder):
    found = [{**row, "image": b"no image" if row["id"] == "a7" else png(1)} for row in rows()]
    pandas.DataFrame(found).to_parquet(folder / "rows.parquet")
    made = ParquetDataset(folder / "rows.parquet")
    broken = next(s for f in every(made).values() for s in f if s.id == "a7")

    with pytest.raises(SampleError) as caught:
        broken.images[0].open()
    assert f"{folder / 'rows.parquet'} row 8" in message(caught.value)


def test_a_file_that_is_none_is_one_error(tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 no")
    for make in (lambda: ParquetDataset(tmp_path / "rows.parquet"), lambda: HfDataset(tmp_path)):
        with pytest.raises(DataError, match=r"rows.parquet|datasets"):
            make().splits  # noqa: B018
    for kind in (CsvDataset, ParquetDataset):
        with pytest.raises(DataError, match="cannot read"):
            kind(tmp_path / "none").splits  # noqa: B018


def test_a_hub_dataset_that_cannot_be_reached_is_one_error():
    with pytest.raises(DataError, match="datasets"):
        HfDataset("no-such-org/no-such-data").splits  # noqa: B018


def test_an_image_is_named_by_its_bytes_and_stored_once(folder, tmp_path):
    found = [{**row, "image": (folder / row["image"]).read_bytes()} for row in rows()]
    pandas.DataFrame(found).to_parquet(folder / "rows.parquet")
    made = every(ParquetDataset(folder / "rows.parquet"))
    keys = {s.id: s.images[0].key for found in made.values() for s in found}

    assert len({*keys.values()}) == len([*tmp_path.glob("cache/**/*.png")]) == 10
    assert all(keys[f"a{at}"] == keys[f"a{at - at % 3}"] for at in range(30))


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(folder, tmp_path):
    path = write_csv(folder / "rows.csv")
    assert every(CsvDataset(path)) == every(CsvDataset(path))
    assert len([*tmp_path.glob("cache/tables/*/rows.jsonl")]) == 1

    write_csv(path, [{**row, "answer": "changed"} for row in rows()])
    assert {s.gold for f in every(CsvDataset(path)).values() for s in f} == {"changed"}


def test_an_export_that_was_killed_starts_again(folder, monkeypatch):
    path = write_csv(folder / "rows.csv")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            CsvDataset(path).splits  # noqa: B018

    assert contents(CsvDataset(path)) == contents(JsonlDataset(folder / "rows.jsonl"))


def test_memory_does_not_grow_with_the_images(tmp_path):
    def peak(count: int) -> int:
        noise = [bytes([n % 256, n // 256]) * 100_000 for n in range(count)]
        frame = pandas.DataFrame(
            {"question": map(str, range(count)), "answer": "5", "image": noise}
        )
        frame.to_parquet(tmp_path / f"{count}.parquet", row_group_size=20)
        del frame, noise
        path = tmp_path / f"{count}.parquet"
        before = pyarrow.total_allocated_bytes()
        arrow = max(pyarrow.total_allocated_bytes() for _ in ParquetSource(path).rows()) - before
        tracemalloc.start()
        ParquetDataset(path).splits  # noqa: B018
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used + arrow

    small = peak(50)  # first: what is imported on the first call counts too
    assert peak(400) < small + 30_000_000  # the images are 80 and 10 MB


def test_a_row_is_the_same_sample_whenever_it_is_read(folder):
    path = write_csv(folder / "rows.csv")
    one, two = CsvDataset(path), CsvDataset(path)
    last = one.sample("rl", one.size("rl") - 1)

    assert two.sample("rl", 0) == one.sample("rl", 0)
    assert two.sample("rl", two.size("rl") - 1) == last
    with pytest.raises(IndexError):
        one.sample("rl", one.size("rl"))


# --- through the command line -------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet", "hf"])
def test_the_data_check_reads_a_table_by_its_path(folder, tmp_path, kind):
    found = [{**row, "answer": str(at % 9)} for at, row in enumerate(rows())]
    found[3]["answer"] = "many"
    path = folder / f"rows.{kind}"
    if kind == "csv":
        write_csv(path, found)
    elif kind == "parquet":
        images = [(folder / row["image"]).read_bytes() for row in found]
        pandas.DataFrame(found).assign(image=images, kind=None).to_parquet(path)
    else:
        hf.DatasetDict(train=hub_rows(folder, found)).save_to_disk(path)
    done = CliRunner().invoke(main, ["data", "check", str(path), "--task", "counting"])

    row = {"csv": 5}.get(kind, 4)
    assert f"{path} row {row}: gold: the task's parser cannot read 'many'" in done.output
    assert "images: 10" in done.output
    assert done.exit_code == 1


def test_text_of_a_parquet_file_that_is_not_utf_8_is_one_error(tmp_path):
    column = pyarrow.array([b"\xb4 dots?"]).view(pyarrow.string())
    parquet.write_table(
        pyarrow.table({"question": column, "answer": ["1"]}), tmp_path / "x.parquet"
    )

    with pytest.raises(DataError, match=r"x\.parquet row 1: cannot read it: .*utf-8"):
        every(ParquetDataset(tmp_path / "x.parquet"))
