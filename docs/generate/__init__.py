"""Pages that are read from the code, so that they cannot say something else: stages, settings, commands, codes.

``PAGES`` are made when the site is built and are no files of the checkout. ``FILES`` are kept in it, because people
read them without building anything; ``python -m docs.generate`` writes them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generate.commands import commands_page
from docs.generate.errors import errors_page
from docs.generate.fields import fields_page
from docs.generate.figures import figures_page
from docs.generate.flow import draw_flow
from docs.generate.growth import growth_page
from docs.generate.mazes import mazes_page
from docs.generate.stages import stages_page

DOCS = Path(__file__).parents[1]
PAGES: Mapping[str, Callable[[], str]] = {
    "reference/stages.md": stages_page,
    "reference/settings.md": fields_page,
    "reference/commands.md": commands_page,
    "reference/errors.md": errors_page,
}
FILES: Mapping[str, Callable[[], str]] = {
    "figures.md": figures_page,
    "growth.md": growth_page,
    "mazes.md": mazes_page,
    "flow.svg": draw_flow,
}
