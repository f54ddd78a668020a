"""Tables: split where the terminal is narrow, never cut."""

from __future__ import annotations

import pytest

from semetric.cli._tables import Column, TerminalTable, show_tables

NUMBERS = ("n", "mean", "95% interval", "std", "min", "5%", "25%", "median", "75%", "95%", "max")
CELLS = ("24", "0.1251", "0.1052 … 0.1453", *(f"1234.567{digit}" for digit in range(8)))
REASON = "no pair of this metric could be scored, since its images are smaller than 161 px on one side or on both"


def table() -> TerminalTable:
    made = TerminalTable(
        [Column("metric", "key"), Column("better", "word"), *map(Column, NUMBERS), Column("because", "text")]
    )
    for metric in ("psnr", "lpips_squeeze"):
        made.add_row(metric, "↑", *CELLS, REASON)
    return made


@pytest.mark.parametrize("width", [40, 80, 100, 120, 200])
def test_a_table_fits_the_terminal_and_keeps_every_cell(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    show_tables(table())
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.startswith("lpips_squeeze")]
    assert " ".join(rows).replace("lpips_squeeze", "").split()[: len(" ".join(CELLS).split()) + 1] == [
        "↑",
        *" ".join(CELLS).split(),
    ]
    assert "…" not in "".join(lines).replace("0.1052 … 0.1453", "")
    assert " ".join(lines[-3:]).split()[-2:] == ["on", "both"]  # text is folded, not cut


def test_a_pipe_takes_as_much_as_a_table_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show_tables(table())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4  # headings, a line, two rows
    assert lines[-1].split() == ["lpips_squeeze", "↑", *" ".join(CELLS).split(), *REASON.split()]
    assert all(line == line.rstrip() for line in lines)


def test_a_column_wider_than_the_terminal_is_not_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    show_tables(table())
    assert "0.1052 … 0.1453" in capsys.readouterr().out


def test_names_are_no_markup_and_tables_stand_apart(capsys: pytest.CaptureFixture[str]) -> None:
    small = TerminalTable([Column("name", "key"), Column("level", repeated=True), Column("value")])
    small.add_row("[red]x[/red]", "1", ":smile:")
    small.add_section()
    small.add_row("y", "2", "3")
    show_tables(small, small)
    first, second = capsys.readouterr().out.split("\n\nname")
    assert first.splitlines()[-1].split() == ["y", "2", "3"]
    assert "[red]x[/red]" in second
    assert ":smile:" in second
