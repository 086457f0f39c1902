"""First lines of text exports, in any encoding, and their cells."""

from physio_mae_jax.data.formats.vendors.text_head import cells_of, first_lines


def test_lines_have_no_ends_and_any_encoding(tmp_path):
    path = tmp_path / "a.txt"
    for encoding in ("utf-8", "utf-16"):
        path.write_bytes("größe,µV\r\n1,2\r\n".encode(encoding))
        lines, _ = first_lines(path, 3)
        assert lines == ["größe,µV", "1,2", ""]


def test_cells_have_no_blanks_and_quotes_around_them():
    assert cells_of(' a ; "b;c" ;', ";") == ["a", "b;c", ""]
    assert cells_of("", ";") == []
