"""Units of measurement in text: the unit that a text names, and its conversion to base units.

A unit is a factor times a product of powers of base units, so that 100 cm equals 1 m and
5 km/h is not a length. Symbols are case-sensitive (mm, Mm), words are not.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

LONGEST = 60  # characters of a unit


@dataclass(frozen=True)
class Unit:
    """A unit: `scale` * pi ** `pi` times a product of powers of base units.

    `number`: dimensionless (%, degrees), so that 50 % equals 0.5 and also "50".
    `needed`: the value has another meaning without it (am, pm), so it may not be left out.
    """

    scale: Fraction
    powers: Mapping[str, int]
    pi: int = 0
    number: bool = False
    needed: bool = False

    def __mul__(self, other: "Unit") -> "Unit":
        names = {*self.powers, *other.powers}
        powers = {n: self.powers.get(n, 0) + other.powers.get(n, 0) for n in sorted(names)}
        kept = {name: power for name, power in powers.items() if power}
        needed = self.needed or other.needed
        return Unit(self.scale * other.scale, kept, self.pi + other.pi, False, needed)

    def __pow__(self, power: int) -> "Unit":
        powers = {name: each * power for name, each in self.powers.items()}
        return Unit(self.scale**power, powers, self.pi * power, False, self.needed)


def _one(scale: int | str | Fraction = 1, **powers: int) -> Unit:
    return Unit(Fraction(scale), powers)


def _label(name: str, *, needed: bool = False) -> Unit:
    """A unit that does not convert to any other."""
    return Unit(Fraction(1), {name: 1}, needed=needed)


_M, _KG, _S, _A = _one(m=1), _one(kg=1), _one(s=1), _one(A=1)
_N = _KG * _M * _S**-2
_J = _N * _M
_W = _J * _S**-1
_FOOT, _POUND = _one("0.3048", m=1), _one("0.45359237", kg=1)
_LITER = _one("0.001", m=3)
_GRAM = _one("0.001", kg=1)
_HOUR, _DAY = _one(3600, s=1), _one(86400, s=1)
_DEGREE = Unit(Fraction(1, 180), {"rad": 1}, pi=1, number=True)
_RADIAN = Unit(Fraction(1), {"rad": 1}, number=True)
_PERCENT = Unit(Fraction(1, 100), {}, number=True)

_PREFIXES: Mapping[str, int | str] = {
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "d": "0.1",
    "c": "0.01",
    "m": "0.001",
    "u": "1e-6",
    "\u03bc": "1e-6",
    "n": "1e-9",  # without p for pico: 5 pm is a time
}
_PREFIX_WORDS = {"kilo": "k", "mega": "M", "giga": "G", "deci": "d", "centi": "c"}
_PREFIX_WORDS.update({"milli": "m", "micro": "u", "nano": "n"})


def _by_name(*rows: tuple[str, Unit]) -> Mapping[str, Unit]:
    return MappingProxyType({name: unit for names, unit in rows for name in names.split()})


_WITH_PREFIX = _by_name(
    *(("m", _M), ("g", _GRAM), ("s", _S), ("L l", _LITER), ("A", _A), ("N", _N), ("J", _J)),
    *(("W", _W), ("V", _W * _A**-1), ("\u03a9", _W * _A**-2), ("C", _A * _S), ("Hz", _S**-1)),
    *(
        ("F", _A**2 * _S**2 * _J**-1),
        ("Pa", _N * _M**-2),
        ("bar", _one(10**5) * _N * _M**-2),
        ("mol", _one(mol=1)),
    ),
    *(("eV", _one("1.602176634e-19") * _J), ("K", _one(K=1)), ("Wh", _W * _HOUR)),
    ("cal", _one("4.184") * _J),
)
_PLAIN = _by_name(
    *(("h", _HOUR), ("ha", _one(10**4, m=2)), ("°", _DEGREE), ("%", _PERCENT)),
    *(("°C ℃", _label("°C")), ("°F ℉", _label("°F")), ("‰", Unit(Fraction(1, 1000), {}))),
    *(("$", _label("dollar")), ("€", _label("euro")), ("£", _label("sterling"))),
    *(("¥", _label("yen")), ("₹", _label("rupee")), ("₩", _label("won"))),
    ("¢", _one("0.01", dollar=1)),
    *((name, _label(name)) for name in ("KB", "kB", "MB", "GB", "TB")),  # ambiguous: 1000 or 1024
)
_WORDS = _by_name(
    *(("meter metre", _M), ("gram gramme gm", _GRAM), ("liter litre", _LITER)),
    *(("second sec", _S), ("minute min", _one(60, s=1)), ("hour hr", _HOUR), ("day", _DAY)),
    *(("week", _one(7) * _DAY), ("month", _label("month")), ("year yr", _one(12, month=1))),
    *(("foot feet ft", _FOOT), ("inch in", _one(Fraction(1, 12)) * _FOOT)),
    *(("yard yd", _one(3) * _FOOT), ("mile mi", _one(5280) * _FOOT)),
    *(("pound lb", _POUND), ("ounce oz", _one(Fraction(1, 16)) * _POUND)),
    *(("gallon gal", _label("gallon")), ("acre", _label("acre")), ("ton", _label("ton"))),
    *(
        ("hectare", _one(10**4, m=2)),
        ("tonne", _one(1000, kg=1)),
        ("unit", _label("unit")),
        ("cc", _one("1e-6", m=3)),
    ),
    *(("kmh kph kmph", _one(1000, m=1) * _HOUR**-1), ("mph", _one(5280) * _FOOT * _HOUR**-1)),
    *(("newton", _N), ("joule", _J), ("watt", _W), ("volt", _W * _A**-1), ("ampere amp", _A)),
    *(("ohm", _W * _A**-2), ("hertz", _S**-1), ("pascal", _N * _M**-2), ("kelvin", _one(K=1))),
    *(("calorie", _one("4.184") * _J), ("mole", _one(mol=1)), ("atm", _label("atm"))),
    *(("percent pct", _PERCENT), ("degree deg", _DEGREE), ("radian rad", _RADIAN)),
    *(("celsius", _label("°C")), ("fahrenheit", _label("°F"))),
    *(("dollar usd", _label("dollar")), ("euro eur", _label("euro")), ("gbp", _label("sterling"))),
    *(("cent", _one("0.01", dollar=1)), ("yen jpy", _label("yen")), ("rupee inr", _label("rupee"))),
    *(("am", _label("am", needed=True)), ("pm", _label("pm", needed=True))),
)
_PREFIXABLE_WORDS = (
    *("meter", "metre", "gram", "liter", "litre", "second", "watt", "volt", "joule", "newton"),
    *("ampere", "hertz", "pascal", "ohm", "calorie"),
)

CURRENCIES = "$€£¥₹₩"
_NAME = r"°(?:C|F|Celsius|Fahrenheit)(?![^\W\d_])|[°%‰℃℉$€£¥₹₩¢]|[^\W\d_]+"
_TERM = re.compile(
    r"(?P<before>(?:(?:square|sq\.?|cubic|cu\.?)\s+)?)"
    rf"(?P<name>{_NAME})\.?"
    r"(?:\s?\^\s?\{?\s?(?P<power>-?\d{1,2})\s?\}?|(?<=[^\W\d_])(?P<close>[23])(?!\d))?",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*(?P<per>/|\bper\b)\s*|\s*(?:\*|·|\\cdot)\s*|\s+", re.IGNORECASE)
_DEGREES = re.compile(
    r"(?:\bdeg(?:ree)?s?\b|°)\s*(?=(?:C|F|Celsius|Fahrenheit)(?![^\W\d_]))", re.IGNORECASE
)
_AM_OR_PM = re.compile(r"(?<![^\W\d_])([ap])\s?\.\s?m\s?\.?(?![^\W\d_])", re.IGNORECASE)


def unit_of(text: str) -> Unit | None:
    """The unit that a whole text names, or None if it is not a unit."""
    text = _DEGREES.sub("°", _AM_OR_PM.sub(r"\1m", text.strip()))
    if not text or len(text) > LONGEST:
        return None
    found, at, per = None, 0, False
    while True:
        term = _TERM.match(text, at)
        unit = _term(term) if term else None
        if term is None or unit is None:
            return None
        unit = unit**-1 if per else unit
        found = unit if found is None else found * unit
        at = term.end()
        if at == len(text):
            return found
        between = _BETWEEN.match(text, at)
        if between is None:
            return None
        per = per or between["per"] is not None  # m/s s is m/(s s), as in J/kg K
        at = between.end()


def _term(match: re.Match[str]) -> Unit | None:
    unit = _named(match["name"])
    if unit is None:
        return None
    power = int(match["power"] or match["close"] or 1)
    power *= {"s": 2, "c": 3}.get(match["before"][:1].lower(), 1)
    return unit if power == 1 else unit**power


def _named(name: str) -> Unit | None:
    if name[0] == "°" and len(name) > 1:
        name = name[:2].upper()
    if name in _PLAIN:
        return _PLAIN[name]
    if name in _WITH_PREFIX:
        return _WITH_PREFIX[name]
    prefix, rest = name[:1], name[1:]
    if prefix in _PREFIXES and rest in _WITH_PREFIX:
        return _one(_PREFIXES[prefix]) * _WITH_PREFIX[rest]
    return next((_ALL_WORDS[word] for word in _singulars(name.lower()) if word in _ALL_WORDS), None)


def _singulars(word: str) -> Iterable[str]:
    yield word
    yield word.removesuffix("s")
    yield word.removesuffix("es")


def _words() -> Mapping[str, Unit]:
    made = {
        long + word: _one(_PREFIXES[short]) * _WORDS[word]
        for long, short in _PREFIX_WORDS.items()
        for word in _PREFIXABLE_WORDS
    }
    return MappingProxyType({**made, **_WORDS})


_ALL_WORDS = _words()
