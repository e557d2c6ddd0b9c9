"""``python -m docs.generate``: write the generated files that are kept in the checkout."""

from docs.generate import DOCS, FILES

for name, make in FILES.items():
    (DOCS / name).write_text(make(), encoding="utf-8")
    print(f"docs/{name}")
