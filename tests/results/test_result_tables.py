from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from semetric.results.tables import Mean, Table, escape_latex, to_csv, to_latex, to_markdown
from semetric.templating import page

FULL = Mean(n=20, mean=0.5, low=0.25, high=0.75, infinite=2)
NONE = Mean(n=0)


def table(*rows: tuple[object, ...], header: tuple[str, ...] = ("name", "value")) -> Table:
    return Table(name="t", title="A table", header=header, rows=tuple(rows), note="A note.")  # type: ignore[arg-type]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=2, max_size=2))
def test_csv_reads_back(texts: list[str]) -> None:
    made = to_csv(table((texts[0], 0.1), (texts[1], None)))
    rows = list(csv.reader(io.StringIO(made, newline="")))
    formula = ("=", "+", "-", "@", "\t", "\r")
    assert rows[0] == ["name", "value"]
    assert [row[0] for row in rows[1:]] == [f"'{t}" if t.startswith(formula) else t for t in texts]
    assert [row[1] for row in rows[1:]] == ["0.1", ""]


def test_csv_gives_means_five_columns_and_all_digits() -> None:
    third = Mean(n=3, mean=1 / 3, low=0.3, high=0.4)
    rows = list(csv.reader(io.StringIO(to_csv(table(("a", FULL), ("b", NONE), ("c", third), ("d", None))))))
    assert rows[0] == ["name", "value", "value low", "value high", "value n", "value infinite"]
    assert rows[1] == ["a", "0.5", "0.25", "0.75", "20", "2"]
    assert rows[2] == ["b", "", "", "", "0", "0"]
    assert rows[3][1] == "0.3333333333"
    assert rows[4] == ["d", "", "", "", "", ""]


@given(st.text())
def test_latex_text_runs_no_command(text: str) -> None:
    escaped = escape_latex(text)
    commands = set(re.findall(r"\\([a-zA-Z]+)", escaped))
    assert commands <= {
        *("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar", "char"),
        *("uparrow", "downarrow", "ldots", "pm", "times", "circ", "infty", "sigma"),
    }
    bare = re.sub(r"\\[{}$&#%_]", "", escaped)
    bare = re.sub(r"\$(\\[a-z]+|\^\\circ|-)\$", "", bare)
    assert not set(bare) & set('$&#%_^~<>|"\n')
    assert bare.count("{") == bare.count("}")


def test_latex_has_booktabs_rules_and_as_many_cells_as_columns() -> None:
    made = to_latex(table(("a & b", FULL), ("[c]", NONE), ("*", 0.5)))
    assert r"\begin{tabular}{lr}" in made
    assert [made.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    rows = made.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert [re.sub(r"\\&", "", row).count("&") for row in rows] == [1, 1, 1]
    assert rows[0].startswith(r"a \& b & \begin{tabular}[t]{@{}r@{}}0.500\\[-2pt]{\tiny {[}0.250, 0.750]}") or (
        r"{\tiny [0.250, 0.750]}" in rows[0]
    )
    assert rows[1].startswith("{[}c{]}")  # else it were an option of the row before
    assert rows[2].startswith("{*}")
    assert r"\caption{A table. A note.}" in made


class Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_escapes_and_says_what_was_left_out() -> None:
    name = "<script>alert(1)</script>"
    reader = Texts()
    reader.feed(page("table.html", table=table((name, FULL), ("b", NONE))))
    assert "script" not in reader.tags
    assert name in reader.text
    assert "0.500" in reader.text
    assert "0.250 … 0.750" in reader.text
    assert "2 infinite left out" in reader.text
    assert "A note." in reader.text


def test_a_table_without_rows_is_its_note() -> None:
    reader = Texts()
    reader.feed(page("table.html", table=table()))
    assert (reader.tags, reader.text.strip()) == (["p"], "A note.")


@given(st.text())
def test_markdown_has_a_cell_a_column_whatever_it_holds(text: str) -> None:
    made = to_markdown(table((text, FULL), (text, None)))
    lines = made.splitlines()
    assert lines[0] == "**A table**"
    assert [len(re.split(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines[2:6]] == [4, 4, 4, 4]
    assert lines[4].endswith(r"| 0.500 \[0.250, 0.750\] |")
    assert not re.search(r"(?<!\\)<", made)


def test_the_best_of_a_column_is_bold_in_print() -> None:
    best = Mean(n=3, mean=0.5, low=0.25, high=0.75, best=True)
    assert r"\textbf{0.500}" in to_latex(table(("a", best), ("b", FULL)))
    assert to_latex(table(("a", FULL))).count("textbf") == 0
