"""The report is one file, whole and safe, whatever the runs are called."""

import html.parser
import json
import sys

import pytest

from rims_rl.comparison.report import write_report
from rims_rl.runs.errors import UsageError
from tests.comparison.synthetic import HOSTILE, hostile_summary, summary


class Page(html.parser.HTMLParser):
    """The parts of a page: its tags with their attributes, and the JSON in it."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.embedded, self._is_json = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._is_json = tag == "script" and ("type", "application/json") in attrs

    def handle_endtag(self, tag):
        self._is_json = False

    def handle_data(self, data):
        if self._is_json:
            self.embedded += data


def written(folder, content, title="A title", command="a command"):
    file = folder / "new folder" / "report.html"
    write_report(content, file, title, command)
    return file


def test_one_file_that_needs_no_other(tmp_path):
    file = written(tmp_path, summary())
    assert [path.name for path in file.parent.iterdir()] == ["report.html"]
    for tag, attributes in Page(file.read_text(encoding="utf-8")).tags:
        assert tag not in ("iframe", "object", "embed", "base"), tag
        for name in ("src", "href", "srcset", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)


@pytest.mark.parametrize("content", [summary, hostile_summary])
def test_the_summary_can_be_read_back(tmp_path, content):
    page = Page(written(tmp_path, content()).read_text(encoding="utf-8"))
    assert json.loads(page.embedded) == json.loads(json.dumps(content()))


def test_names_add_no_tags(tmp_path):
    plain = Page(written(tmp_path, summary()).read_text(encoding="utf-8"))
    file = written(tmp_path, hostile_summary(), title=HOSTILE, command=HOSTILE)
    hostile = Page(file.read_text(encoding="utf-8"))
    assert hostile.tags == plain.tags


def test_numbers_that_json_lacks(tmp_path):
    file = written(tmp_path, {"a": [float("nan"), (float("inf"), 1.5)]})
    page = Page(file.read_text(encoding="utf-8"))
    assert json.loads(page.embedded) == {"a": [None, ["inf", 1.5]]}


def test_without_plotly_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(UsageError, match=r'^the report needs plotly: .*-e "\.\[report\]"$'):
        written(tmp_path, summary())
    assert not list(tmp_path.rglob("*.html"))
