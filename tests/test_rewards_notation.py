"""What `symbolic` takes for the same: the table of the docs, its neighbors, and laws over them."""

# ruff: noqa: RUF001 - the characters that look alike are what this is about

import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rftcore.errors import SampleError
from rftcore.rewards import maths, notation
from rftcore.units import unit_of

PAGE = Path(__file__).parent.parent / "docs" / "scoring.md"
ROW = re.compile(r"^\|[^|\n]*\| `(.+?)` \| `(.+?)` \| ([01]) \|$", re.MULTILINE)
DOCUMENTED = [(gold, answer, score == "1") for gold, answer, score in ROW.findall(PAGE.read_text())]

SAME = [
    ("10-20", "10 – 20"),
    ("5-10 cm", "50-100 mm"),
    ("$5-$10", "$5-10"),
    ("1,000-2,000", "1000 - 2000"),
    ("1-2, 3-4", "3-4, 1-2"),
    ("2^3-1", "7"),
    ("x'", "x\u2032"),
    ("y''", r"y^{\prime\prime}"),
    ("y'=2x", "2x = y'"),
    (r"-0.1\overline{6}", "-1/6"),
    (r"2.\overline9", "3"),
    ("5 cm", "5 cm"),
    ("5 cm", "5.0 cm"),
    (r"5\text{ cm}^2", r"5 \mathrm{cm}^{2}"),
    ("36 km/h", "10 m/s"),
    ("1 mbar", "100 Pa"),
    ("5 m/s^2", r"5\,\text{m}\cdot\text{s}^{-2}"),
    ("1 h 30 min", "1 h 30 min"),
    ("30°", "30"),
    (r"30^{\circ}", "30 degrees"),
    ("180°", r"\pi rad"),
    (r"50\%", "50"),
    ("50 percent", "50%"),
    (r"\$5.25", "$5.25"),
    ("€5", "5 €"),
    ("$5", "5 dollars"),
    ("5 am", "5 a.m."),
    ("5:30 pm", "5:30 PM"),
    ("cat", "Cat"),
    ("no", "no"),
    ("A", "a"),
    ("A", "(A)"),
    ("AB", "AB"),
    (r"1.6\times 10^{-19}", "1.6e-19"),
    (r"1.6\times 10^{-19}", "1.6*10^-19"),
    (r"1.6\times 10^{-19}", r"16\cdot 10^{-20}"),
    (r"\frac{1}{2^{99}}", "2^{-99}"),
    (r"\frac{1}{20!}", "1/20!"),
    ("1010_2", "1010_{2}"),
    (r"\pi", "pi"),
    (r"\pi", "π"),
    (r"4\pi", "4pi"),
    (r"4\pi", "4*pi"),
    (r"\log 2", "log(2)"),
    (r"\log_2 8", "log2(8)"),
    ("e^2", "e**2"),
    (r"\sin(x)", "sin(x)"),
    (r"\sin x", "sin(x)"),
    (r"\sin^2 x", "sin(x)^2"),
    ("x^2", "x**2"),
    ("x^{10}", "x^10"),
    ("x^2", "x²"),
    (r"\sqrt{2}", "√2"),
    (r"\sqrt{2}", "sqrt(2)"),
    (r"\sqrt{x+1}", "√(x+1)"),
    (r"\frac12", "½"),
    (r"\frac12", "0.5"),
    (r"1\frac{1}{2}", "1.5"),
    ("1½", "1.5"),
    ("-1 1/2", "-1.5"),
    (r"1\,000", "1000"),
    ("1{,}000", "1000"),
    ("1 000", "1,000"),
    (r"1\,000\,000", "1e6"),
    ("3", "`3`"),
    ("3", r"\boxed{3}"),
    ("3", r"$\boxed{3}$"),
    ("3", "$$3$$"),
    ("10", "１０"),
    (r"\infty", "∞"),
    (r"\infty", "infinity"),
    (r"-\infty", "-inf"),
    (r"\infty", "oo"),
    (r"\angle ABC", "∠ABC"),
    ("1, 2, 3", "3, 2, 1"),
    ("1 and 2", "1, 2"),
    ("x=1 or x=2", "x = 2 or x = 1"),
    ("7", "x=7.0"),
    ("(1, 2)", "(1,2)"),
    ("(1,2)", "(1.0, 2.0)"),
    ("(1,2)", "1, 2"),
    ("[1,2)", "[1, 2)"),
    (r"(-\infty, 1) \cup (2, \infty)", "(2,oo) U (-oo,1)"),
    ("x<3", "3>x"),
    ("x<3", r"(-\infty,3)"),
    ("0<x<1", "(0,1)"),
    (r"x \in [1,2]", "[1,2]"),
    (r"\{1,2\}", "{2,1}"),
    (r"\{1,2\}", "1,2"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&\frac{8}{2}\end{pmatrix}"),
    ("y=2x+1", "y = 1+2x"),
    ("2x=4", "x=2"),
    ("y=2x+1", "2x+1"),
    ("2x+y=1", "y+2x=1"),
    (r"\pm 3", "3, -3"),
    (r"\pm 3", "-3, 3"),
    (r"1\pm\sqrt2", r"1+\sqrt2, 1-\sqrt2"),
    (r"\text{Yes}", "yes"),
    (r"\text{(A)}", "A"),
    (r"\text{east}", "East"),
    (r"\text{13}", "13"),
    ("triangle", "triangle"),
    ("café", "café"),
    ("5 apples", "5 apples"),
    ("2024-05-01", "2024-5-1"),
    ("3:4", "3:4"),
    (r"\frac{x^2-1}{x-1}", "x+1"),
    (r"\sqrt(2)", r"\sqrt{2}"),
    (r"\pi", "3.141593"),
    ("3.14159265", "3.141592654"),
    (r"\frac{2}{3}x", "2x/3"),
    ("xyz+1", "1 + xyz"),
    ("xyz+1", "x*y*z+1"),
    ("xy", "x*y"),
    ("6abc", "6 a b c"),
    (r"1 - \frac{1}{\mathrm{e}}", "1-1/e"),
    ("2+3i", "3i+2"),
    ("|x|", "abs(x)"),
    ("2^{100}", "1267650600228229401496703205376"),
    ("10^{20}", "100000000000000000000"),
    (r"\frac{\sqrt{3}}{3}", r"1/\sqrt{3}"),
    (r"\sqrt{8}", r"2\sqrt2"),
    (r"-\frac{1}{2}", "-1/2"),
    (r"\dfrac{1}{2}", "1/2"),
    (".5", "0.5"),
    ("x^{-1}", "1/x"),
    ("x^-1", "1/x"),
    ("x^{1/2}", r"\sqrt{x}"),
    ("x^(1/2)", "sqrt(x)"),
    (r"\frac{-b+\sqrt{b^2-4ac}}{2a}", "(-b+sqrt(b^2-4ac))/(2a)"),
    ("area = 5", "5"),
    ("5", "= 5"),
    (r"\binom{5}{2}", "10"),
    ("5!", "120"),
    (r"\theta", "theta"),
    (r"\alpha+\beta", "alpha + beta"),
    (r"\emptyset", "∅"),
    (r"3 \times 10^8 m/s", "3e8 m/s"),
    ("299792.458 km/s", "299792458 m/s"),
    ("f(x)=x^2", "x^2"),
    (r"\frac{5}{3}\pi\text{ cm}^3", "5π/3 cm³"),
    (r"2\sqrt{3} cm", "2√3 cm"),
    ("1 000 000", "1000000"),
    (r"90^\circ", "90°"),
    ("arctan(1)", r"\arctan 1"),
    (r"\text{5 cm}", "5 cm"),
    (r"5 \times 3", "15"),
    ("5x3", "15"),
    ("3:30 p.m.", "3:30 pm"),
    (r"x \le 3", "x <= 3"),
    (r"x\geq 2", "2 ≤ x"),
    ("50 km/h", "50 kph"),
    ("20°C", "20 °C"),
    (r"20^\circ C", "20 degrees Celsius"),
    ("5 kg m/s", "5 N s"),
    ("-5", "–5"),
    (r"\frac{\pi}{6}", "30°"),
    ("5cm", "5 cm"),
    ("5m", "5 m"),
    ("5 m", "5m"),
    ("5m", "500 cm"),
    ("12 in", "1 ft"),
    ("$1,000", "1000"),
    ("$1,000.50", r"\$1000.5"),
    ("-2/3", r"\frac{2}{-3}"),
    (r"\frac{-2}{3}", r"-\frac23"),
    ("(1+i)^2", "2i"),
    (r"\sin 30^\circ", "1/2"),
    (r"\sin(30°)", "0.5"),
    (r"\angle ABC = 30^\circ", "30"),
    (r"\angle ABC = 30^\circ", "30°"),
    ("x = 5 cm", "50 mm"),
    (r"x=5\text{ cm}", "5"),
    ("1 h 30 min", "90 min"),
    ("5 ft 3 in", "63 inches"),
    ("2<x<5", "x>2 and x<5"),
    (r"(-\infty,-1)\cup(2,\infty)", "x<-1 or x>2"),
    (r"x<-1 \text{ or } x>2", "x>2 or x<-1"),
    ("(1,2),(3,4)", "(3,4), (1,2)"),
    (r"\langle 1,2\rangle", "(1,2)"),
    (r"\left\{1,2\right\}", "{1, 2}"),
    (r"\sqrt[3]{8}", "2"),
    ("8^{1/3}", "2"),
    (r"\log_{10} 100", "2"),
    ("x₁+1", "x_1 + 1"),
    ("x_1", "x_{1}"),
    ("x1", "x_1"),
    ("٥", "5"),
    ("log₂8", "3"),
    ("2πr", "2*pi*r"),
    ("2pi r", r"2\pi r"),
    (r"\sin 2x", "sin(2x)"),
    ("e^{-x}", "e^-x"),
    ("5 cm.", "5 cm"),
    (r"\frac{3}{4}\text{ hours}", "45 minutes"),
    ("0.75", "3/4"),
    ("1{,}234.5", "1,234.50"),
    ("1_000", "1000"),
    (r"a_{\text{max}}", "a_{max}"),
    (r"\int_0^1 x\,dx", "1/2"),
    (r"\sum_{n=1}^{3} n", "6"),
    ("x^2 - 1 = 0", "x^2 = 1"),
    (r"\text{no solution}", "No solution"),
    (r"\text{5 meters}", "5 m"),
    (r"5\ \mathrm{m/s}", "5 m/s"),
    (r"10\,000", "10000"),
    (r"\frac{1}{2}, \frac{1}{3}", "1/3, 1/2"),
    (r"\text{A, B}", "B, A"),
    (r"\mathbf{B}", "B"),
    (r"\text{B}.", "(B)"),
    (r"2 \cdot 3", "6"),
    ("7!", "5040"),
    ("|-3|", "3"),
    ("|x-1|", "abs(x-1)"),
    (r"\lfloor 2.5 \rfloor", "2"),
    (r"x=\frac{1}{2}", "0.5"),
    (r"\mathbb{R}", "ℝ"),
    (r"(-\infty,\infty)", "(-oo, oo)"),
    (r"5\%", "0.05"),
    (r"\frac{1}{2} \text{ cup}", "1/2 cup"),
    (r"\frac{x}{2}", "1/2 x"),
    (r"\frac{x}{2}y", "x/2y"),
    (r"\frac{\pi}{2}", "1/2pi"),
    (r"\frac{3\sqrt{2}}{4}", "3/4 sqrt(2)"),
    (r"\frac{2\pi}{3}", "2pi/3"),
    (r"\frac{x+1}{2}", "(x+1)/2"),
    (r"\frac{1}{2x}", "1/(2x)"),
    (r"\frac{1}{x+1}", "1/(x+1)"),
    (r"\frac{a}{b}", "a/b"),
    (r"0<x<1 \text{ or } x>2", "(0,1) U (2,oo)"),
    (r"x \ge 2 \text{ or } x \le -2", r"(-\infty,-2]\cup[2,\infty)"),
    ("5 cm", "5 centimeters"),
    ("5 cm", "0.05 m"),
    ("50 km/h", "50 km/hr"),
    ("50 km/h", "50 kilometers per hour"),
    ("9.8 m/s^2", "9.8 m/s²"),
    ("9.8 m/s^2", "9.8 m s^{-2}"),
    ("5 L", "5000 mL"),
    ("5 L", "5 liters"),
    ("2.5 hours", "2 h 30 min"),
    ("2.5 hours", "2 hours and 30 minutes"),
    ("3 ft", "36 in"),
    (r"\$100", "100 USD"),
    ("100 dollars", "$100.00"),
    ("$1,234.56", "1234.56"),
    (r"25\%", "25 percent"),
    (r"\text{25 cm}", "25cm"),
    (r"25\,\text{cm}", "25 cm"),
    (r"25~\mathrm{cm}", "25 cm"),
    (r"25 \text{ square units}", r"25 \text{ square units}"),
    (r"25 \text{ square units}", "25 square units"),
    ("25 units", "25 units"),
    ("25 units", "25"),
    (r"25 \text{ square units}", "25"),
    ("x=5", "5"),
    (r"x = 5 \text{ cm}", "5 cm"),
    ("9:30", "09:30"),
    ("9:30 AM", "9:30 a.m."),
    ("January 5, 2020", "january 5, 2020"),
    ("2020-01-05", "2020-01-05"),
    ("12/25/2020", "12/25/2020"),
    (r"\frac{3}{4}", "3/4"),
    (r"\frac{3}{4}", ".75"),
    (r"2\frac{3}{4}", "2 3/4"),
    (r"2\frac{3}{4}", "11/4"),
    (r"2 \tfrac34", "2.75"),
    (r"-2\frac{1}{2}", "-2.5"),
    (r"\sqrt{12}", r"2\sqrt{3}"),
    (r"\sqrt{12}", "2*sqrt(3)"),
    (r"\sqrt{12}", "2 sqrt 3"),
    (r"\frac{1}{\sqrt 2}", r"\frac{\sqrt{2}}{2}"),
    (r"\frac{1}{\sqrt 2}", "sqrt(2)/2"),
    (r"\frac{1}{\sqrt 2}", "1/√2"),
    (r"e^{i\pi}", "-1"),
    (r"\cos 60°", "0.5"),
    (r"\cos(\pi/3)", "1/2"),
    (r"\tan 45^\circ", "1"),
    (r"\log_{10}(1000)", "3"),
    (r"\ln(e^2)", "2"),
    (r"\infty", "inf"),
    ("(-1, 2)", "(-1,2)"),
    ("(-1, 2)", "( -1 , 2 )"),
    (r"\left(-1, \frac{1}{2}\right)", "(-1, 0.5)"),
    (r"[0, \infty)", "[0, inf)"),
    (r"[0, \infty)", r"x \ge 0"),
    (r"x \ge 0", "x>=0"),
    (r"x \ge 0", "0 <= x"),
    (r"\{1, 2, 3\}", "{3, 2, 1}"),
    (r"\{1, 2, 3\}", "1, 2, 3"),
    (r"\emptyset", r"\varnothing"),
    (r"\emptyset", r"\{\}"),
    ("y = 2x + 3", "y = 3 + 2x"),
    ("y = 2x + 3", "2x - y + 3 = 0"),
    ("2x+3", "2*x+3"),
    ("(x-1)(x+1)", "x^2-1"),
    ("x(x+1)", "x^2+x"),
    ("a^2+b^2", "b^2+a^2"),
    (r"\begin{bmatrix}1 & 2\\3 & 4\end{bmatrix}", r"\begin{pmatrix}1 & 2\\3 & 4\end{pmatrix}"),
    (r"6.02\times10^{23}", "6.02e23"),
    (r"6.02\times10^{23}", "6.02 x 10^23"),
    (r"6.02\times10^{23}", "6.02·10²³"),
    (r"6.02 \times 10^{23}", "6.02 * 10^{23}"),
    ("0.1 + 0.2", "0.3"),
    ("FF_{16}", "255"),
    (r"\text{True}", "true"),
    (r"\text{No}", "no."),
    ("New York", "new york"),
    ("isosceles triangle", "Isosceles Triangle"),
    ("Δ", "Δ"),
    ("H_2O", "H₂O"),
    ("A, C", "C, A"),
    ("A and C", "A, C"),
    ("ABC", "ABC"),
    (r"\triangle ABC", "△ABC"),
    (r"\overline{AB}", r"\overline{AB}"),
    (r"5\sqrt{2}\text{ m}", "5√2 m"),
    (r"\frac{\pi}{4}\text{ rad}", "π/4"),
    (r"90^{\circ}", "90 deg"),
    ("π/2", r"\frac{\pi}{2}"),
    ("3π", "3*pi"),
    ("1:2", "1:2"),
    (r"\frac{n(n+1)}{2}", "n(n+1)/2"),
    ("2^{n}", "2^n"),
    ("2^{n+1}", "2^(n+1)"),
    ("2^{n+1}", "2·2^n"),
    ("n!", "n!"),
    (r"\binom{n}{2}", r"\binom{n}{2}"),
    ("-x", "−x"),
    ("–5", "-5"),
    ("5。", "5"),
    ("$5$", "5"),
    (r"\(5\)", "5"),
    (r"\textbf{5}", "5"),
    ("__5__", "5"),
    ('"5"', "5"),
    ("5 ± 2", "7, 3"),
    ("4.50", "4.5"),
    (r"\$4.50", "4.5 dollars"),
    ("4,5", "4,5"),
    ("1,234,567", "1234567"),
    ("12 345", "12345"),
    ("1'000", "1000"),
    ("six", "Six"),
    ("0", "-0"),
    ("0", "0.0"),
    (r"\frac{0}{5}", "0"),
    (r"3 \cdot 4", "12"),
    ("3(4)", "12"),
    (r"10\%", r"\frac{1}{10}"),
    (r"\frac{1}{3} + \frac{1}{6}", "1/2"),
    (r"\sum_{i=1}^{4} i", "10"),
    ("f'(x)=2x", "f'(x)=2x"),
    (r"\vec{v}", r"\vec{v}"),
    (r"\hat{i}+2\hat{j}", r"\hat{i}+2\hat{j}"),
    (r"2\vec{i}+3\vec{j}", r"3\vec{j}+2\vec{i}"),
    (r"\log_2(x)", "log2(x)"),
    (r"x^{\frac{1}{3}}", r"\sqrt[3]{x}"),
    (r"\sqrt[3]{x}", "cbrt(x)"),
    (r"1 < x \le 5", "(1, 5]"),
    (r"x \neq 2", "x != 2"),
    (r"\pm\sqrt{3}", "±√3"),
    (r"\pm\sqrt{3}", "√3, -√3"),
    (r"x = \pm 2", "x = 2 or x = -2"),
    ("1/3", "0.33333333"),
    ("50 cents", r"\$0.50"),
    ("2 dozen", "2 dozen"),
    ("7 / 2", "3.5"),
    ("two thirds", "two thirds"),
    ("approximately 5", "approximately 5"),
    ("2 hours and 30 minutes", "150 min"),
    ("5 cm and 3 cm", "3 cm, 5 cm"),
    ("2(x+1)", "2x+2"),
    (r"\log_2(8)", "3"),
    ("(3)(4)", "12"),
    (r"\sin^2(x)", "sin(x)^2"),
    ("2^3(5)", "40"),
    ("1+1=2", "2"),
    (r"x = \pm 2", "x=±2"),
    (r"5 m \times 3 m", "5 m × 3 m"),
    ("100°C", "100 degrees C"),
    ("32°F", "32 °F"),
    ("5 N", "5 newtons"),
    ("5 Ω", "5 ohms"),
    ("3 kΩ", "3000 Ω"),
    ("5 μm", "0.005 mm"),
    ("5 µm", "5 um"),
    ("1 GB", "1 GB"),
    ("60 mph", "60 miles per hour"),
    ("10 m^3", "10 cubic meters"),
    ("10 ft^2", "10 square feet"),
    ("10 ft^2", "10 sq. ft."),
    ("3 years", "36 months"),
]

OTHER = [
    *(("500", text) for text in ("0,500", r"0\,500", "0 500", "0{,}500")),
    *(("35", text) for text in ("3,5", "3{,}5")),
    ("500-1,500", "0,500-1,500"),
    ("10-20", "-10"),
    ("10%-20%", "-10%"),
    ("555-1234", "-679"),
    ("2024-05", "2019"),
    ("x'", "x"),
    ("y''", "y'"),
    ("A'B'", "AB"),
    (r"\alpha'", r"\alpha"),
    ("x_1'", "x_1"),
    ("f(x)'", "f(x)"),
    (r"0.\overline{3}", "0.3"),
    ("5m", "5"),
    ("5 m", "5 s"),
    ("x₁", "x"),
    ("x1", "x"),
    ("5m", "5 cm"),
    ("5m", "5s"),
    ("1 h 30 min", "30 min"),
    ("1 h 30 min", "1.3 h"),
    (r"\sin 30", "1/2"),
    ("11/2", "1 1/2"),
    ("x>2 and x<5", "x>2 or x<5"),
    (r"\text{A, B}", "A"),
    ("$5", "€5"),
    ("5", r"5\%1"),
    ("10 seconds", "10 hours"),
    (r"5\text{ cm}^2", r"5\text{ cm}^3"),
    ("5 am", "5 pm"),
    ("12", r"12 \text{ not }"),
    ("5 km", "5 mm"),
    ("5 kg", "5 g"),
    (r"1.6\times 10^{-19}", r"9.1\times 10^{-31}"),
    (r"1.6\times 10^{-19}", "0"),
    (r"1.6\times 10^{-19}", "-5e-20"),
    (r"\frac{1}{20!}", r"\frac{1}{21!}"),
    ("3e-16", "7e-16"),
    ("3e-18", "7e-18"),
    ("1000000", "1000001"),
    ("2^{1000}", "2^{1000}+1"),
    ("no", "on"),
    ("listen", "silent"),
    ("AB", "A, B"),
    ("1010_2", "1010_3"),
    ("5", "5 apples"),
    ("5 apples", "6 apples"),
    ("1331 and 1728", "1728"),
    ("1, 2, 3", "1"),
    ("x=1 or x=2", "x=1"),
    ("x=1", "y=1"),
    ("x=1, y=2", "x=2, y=1"),
    ("(1,2)", "(2,1)"),
    ("(2,1)", "(3,1)"),
    ("(1,2)", "[1,2]"),
    ("(1,2)", "2, 1"),
    ("[1,2)", "(1,2]"),
    ("x<3", "x>3"),
    ("x<3", r"x \le 3"),
    (r"\{1,2\}", r"\{1,3\}"),
    (r"\frac13", "0.33"),
    ("0.333334", r"\frac13"),
    ("3:4", "4:3"),
    ("1/2/2020", "2/1/2020"),
    (r"\frac{1}{2}", "2"),
    ("5", "5 or 6"),
    ("5", "4 or 5"),
    ("2", "2 x"),
    (r"\infty", r"-\infty"),
    ("5 m", "5 m^2"),
    ("180°", "180 rad"),
    ("20°C", "20°F"),
    (r"\$5", "5 cents"),
    ("x", "x+0.0000000001"),
    ("10^{-30}x", "10^{-31}x"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&5\end{pmatrix}"),
    ("yes", "no"),
    ("true", "false"),
    ("2cat", "2act"),
    ("5 no", "5 on"),
    ("cat + dog", "act + god"),
    ("sin(x)", "cos(x)"),
    ("e^2", "e^3"),
    ("x^{10}", "x^1"),
    ("5:30", "5:31"),
    ("3:4", "0.75"),
    ("Paris", "paris, france"),
    ("red and blue", "red"),
    ("7", "x = 8"),
    ("5", "2+2=5"),
    ("9=1", "1"),
    ("1", "9=1"),
    ("x^2", "x"),
    ("ln 2", "log 2"),
    ("5", "5 5"),
    ("x", "x(1+10^{-20})"),
    ("x", "x+10^{-70}"),
    ("x+1", "x+1+10^{-30}"),
    ("5 hi", "5 ih"),
    ("5", "4\n\\frac{5}{1}"),
    ("5", r"\boxed{4} \boxed{5}"),
    ("5", "4$ or $5"),
    ("5", r"4 \[5\]"),
    (r"\sqrt{2}", "1.414"),
    ("H2O", "H2O2"),
    ("1.2.3", "1.23"),
    ("5 cm", "5 inches"),
    ("9.8 m/s^2", "9.8 m/s"),
    ("5 L", "5 mL"),
    ("100 USD", "100 EUR"),
    (r"25\%", "2.5%"),
    ("25 units", "25 square units"),
    ("12 cubes", "12"),
    ("9:30", "9:03"),
    ("9:30 AM", "9:30 PM"),
    ("January 5, 2020", "January 6, 2020"),
    ("2020-01-05", "2020-05-01"),
    ("12/25/2020", "12/26/2020"),
    (r"\sqrt{12}", "3.46"),
    (r"\infty", "-inf"),
    ("(-1, 2)", "(-1, -2)"),
    (r"[0, \infty)", r"(0, \infty)"),
    (r"x \ge 0", "x > 0"),
    (r"\{1, 2, 3\}", r"\{1, 2\}"),
    ("y = 2x + 3", "y = 2x - 3"),
    (r"\begin{bmatrix}1 & 2\\3 & 4\end{bmatrix}", r"\begin{bmatrix}1 & 3\\2 & 4\end{bmatrix}"),
    (r"6.02\times10^{23}", r"6.02\times10^{22}"),
    ("6.63e-34", "6.62e-34"),
    ("1e-10", "1e-11"),
    ("1e-10", "0"),
    ("1.0000001", "1.0000002"),
    ("99999999999999999999", "99999999999999999998"),
    ("FF_{16}", "FE_{16}"),
    (r"\text{True}", "False"),
    ("left", "right"),
    ("Paris", "pairs"),
    ("New York", "York New"),
    ("CO", "CO_2"),
    ("CO_2", "CO"),
    ("A, C", "A"),
    ("ABC", "ACB"),
    ("1:2", "2:1"),
    ("45", "4,5"),
    ("1,234,567", "1,234,568"),
    ("0", "1e-300"),
    ("5 cm 3 cm", "8 cm"),
    ("5 cm and 3 cm", "8 cm"),
    ("2 and 3", "23"),
    ("1=1", "2=2"),
    (r"x=\pm 2", r"x=\pm 3"),
    ("x<2", "x<y"),
    ("1<x<2", "1<y<2"),
    ("x=2", "x=(1,2)"),
    ("1 GB", "1 MB"),
]

same = maths.same_expression
few = settings(max_examples=30)
numbers = st.decimals(-(10**9), 10**9, places=3).filter(bool)
tens = st.integers(-300, 300)
words = st.text(st.characters(categories=["L"]), min_size=5, max_size=8)
scraps = st.lists(
    st.sampled_from(
        [
            *"12x,;=<>^_{}()[]|!/*-+:$€%°½²√π ",
            *("cat", "no", r"\frac", r"\sqrt", r"\text{", "or", "cm", "m", "e", "1.5", r"\left("),
            *(r"\circ", r"\{", r"\}", "sin", "log", "\ud800", "北", r"\begin{pmatrix}", "&"),
            *(r"\\", r"\end{pmatrix}", "\u200b", r"\boxed{", "**", "."),
        ]
    ),
    max_size=8,
).map("".join)


def read(text: str) -> str:
    """The kind of part that a text is."""
    try:
        return notation.read(text)["kind"]
    except notation.UnreadableError:
        return "unreadable"


@pytest.mark.parametrize(("gold", "answer", "equal"), DOCUMENTED)
def test_the_table_of_the_docs_is_true(gold, answer, equal):
    assert same(gold, answer) is equal


def test_the_table_of_the_docs_is_found():
    assert len(DOCUMENTED) > 60
    assert {equal for *_, equal in DOCUMENTED} == {True, False}


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_another_notation_is_the_same_answer(gold, answer):
    assert same(gold, answer)
    assert same(answer, gold)


@pytest.mark.parametrize(("gold", "answer"), OTHER)
def test_what_only_looks_alike_is_another_answer(gold, answer):
    assert not same(gold, answer)


@few
@given(texts=st.tuples(scraps, scraps))
def test_any_text_equals_itself_and_equality_has_no_direction(texts):
    verdicts = []
    for gold, answer in (texts, texts[::-1], (texts[0], texts[0])):
        try:
            verdicts.append(same(gold, answer))
        except SampleError:
            return
    assert verdicts == [verdicts[0], verdicts[0], True]


@given(text=scraps | st.text(max_size=450))
def test_any_text_is_read_or_is_an_error_with_a_reason(text):
    assert read(text) in ("words", "value", "list", "set", "row", "union", "unreadable")


@pytest.mark.parametrize("piece", ["(", "{", "√", r"\sqrt", r"\frac", "^(", "[(", "1,", "x^", "-"])
def test_deep_or_endless_notation_is_read_or_is_an_error(piece):
    for times in (30, 300, 100_000):
        assert read(piece * times + "1")


@few
@given(number=numbers, power=tens, other=st.integers(2, 9))
def test_numbers_of_any_size_differ_by_their_digits_and_not_by_their_spelling(number, power, other):
    gold = rf"{number}\times 10^{{{power}}}"

    assert same(gold, f"{number * 100}e{power - 2}")
    assert not same(gold, f"{number * other}e{power}")
    assert not same(gold, f"{number}e{power + 1}")


@few
@given(
    number=numbers.map(str), units=st.permutations(["cm", "kg", "s", "N", "°C", "€", "%", "mol"])
)
def test_one_number_in_two_units_is_two_answers(number, units):
    one, other = units[:2]

    assert same(f"{number} {one}", rf"{number}\text{{ {one}}}")
    assert not same(f"{number} {one}", f"{number} {other}")


@few
@given(number=st.integers(1, 999), prefix=st.sampled_from(["k", "c", "m"]))
def test_a_prefix_is_a_factor(number, prefix):
    factor = unit_of(f"{prefix}m").scale

    assert same(f"{number} {prefix}m", f"{number * factor} m")
    assert not same(f"{number} {prefix}m", f"{number} m")


@few
@given(word=words, seed=st.randoms())
@example("AAAA\u013f", Random(0))  # one letter that is an L and a dot in other characters
def test_a_word_is_its_letters_in_their_order(word, seed):
    letters = list(word)
    seed.shuffle(letters)
    mixed = "".join(letters)

    assert same(word, word.upper()) == (word.casefold() == word.upper().casefold())
    assert same(word, mixed) == (notation.read(word)["text"] == notation.read(mixed)["text"])


@given(
    low=st.integers(0, 999),
    high=st.integers(0, 999),
    digits=st.text("0123456789", min_size=1, max_size=6),
)
@settings(max_examples=30)
def test_a_range_is_its_ends_and_a_period_is_a_fraction(low, high, digits):
    assert same(f"{low}-{high}", f"{low} \u2013 {high}")
    assert not same(f"{low}-{high}", str(low - high))
    assert same(
        rf"{low}.\overline{{{digits}}}",
        f"{int(digits) + low * (10 ** len(digits) - 1)}/{10 ** len(digits) - 1}",
    )
