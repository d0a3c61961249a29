"""One thing that a user can do by menu or key, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One thing that can be done.

    Attributes:
        name: under which the program finds it and its keys are kept.
        text: of the menu entry, with its access key marked by `&`.
        menu: the menu it stands in; `A/B` is the sub-menu B of A.
        keys: in portable form; the first is shown.
        icon: name of an icon, or empty.
        group: of choices that exclude each other, or empty.
        is_checkable: whether it is on or off.
        needs_services: whether it is unavailable until the services are open.
        in_table_only: its keys count only while a table of calls has the focus.
        starts_section: whether a line stands above it.
        help: what a list of keys says of it, where the text does not say it.
    """

    name: str
    text: str
    menu: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    group: str = ""
    is_checkable: bool = False
    needs_services: bool = True
    in_table_only: bool = False
    starts_section: bool = False
    help: str = ""

    @property
    def title(self) -> str:
        """The text without its access key."""
        return self.help or self.text.replace("&", "").rstrip("…")
