"""Names that act where they are shown, and what is harmless."""

import unicodedata

NASTY = (
    *(r"$\frac$", r"$\frac{", "$", "a_b^c$", r"\$x$", "_hidden", "{x:g}", "%s", "100 %"),
    *(
        "a\ud800",
        "\udfff\ud800",
        "a\0b",
        "a\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "a\nb",
        "a\r\nb",
    ),
    *("\u202egnp.exe", "\u2066x", "a\u2028b", "\x85", "\x9b31m", "\ufeffx", "\u200b", "心电图"),
    *(
        "ا\u200cب",
        "🫀",
        "é" * 3,
        "e" + "\u0301" * 2000,
        "x" * 5000,
        "",
        " ",
        "| a | b |",
        "<script>",
    ),
)
ACTING = ("Cc", "Cf", "Cs", "Zl", "Zp")


def is_harmless(text: str) -> bool:
    return not any(
        unicodedata.category(letter) in ACTING for letter in text if letter not in "\n\u200c\u200d"
    )
