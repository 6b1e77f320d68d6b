"""Pages of commands: text of others stays text, and nothing is loaded or run."""

from __future__ import annotations

from votenet.cli.html import html_text, page_begin, page_end


def test_text_of_others_is_escaped_on_one_line_and_visible() -> None:
    assert html_text('<b>"A" & B</b>') == "&lt;b&gt;&quot;A&quot; &amp; B&lt;/b&gt;"
    assert "\n" not in html_text("a\nb")
    assert "\u202e" not in html_text("a\u202eb")


def test_a_page_may_load_and_run_nothing() -> None:
    page = "\n".join([*page_begin("id", "Ketua", "p { margin: 0; }"), *page_end()])
    assert page.startswith('<!DOCTYPE html>\n<html lang="id">\n<head>\n<meta charset="utf-8">\n')
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page
    assert "<title>Ketua</title>\n<style>p { margin: 0; }</style>\n</head>\n<body>\n</body>\n</html>" in page


def test_only_a_page_for_phones_has_a_viewport() -> None:
    printed, read = (list(page_begin("en", "t", "", for_phones=phones)) for phones in (False, True))
    assert [line for line in read if line not in printed] == [
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
    ]
