"""Invented callers and staff; outside numbers lie in ranges that are kept free for fiction."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who telephones.

    Attributes:
        number: an extension, or an outside number in E.164 form.
        name: as a server would show it; empty where the caller is unknown.
    """

    number: str
    name: str


_STAFF_NAMES = (
    "Amara Okafor",
    "Bence Tóth",
    "Chloé Laurent",
    "Daniel Weber",
    "Elena Petrova",
    "Farid Rahimi",
    "Grace Mbeki",
    "Hiro Tanaka",
    "Ingrid Sørensen",
    "João Almeida",
    "Katarzyna Nowak",
    "Liam Doherty",
    "María Fernández",
    "Nikos Papadakis",
    "Olga Ivanova",
    "Priya Raman",
    "Quentin Dubois",
    "Rosa Bianchi",
    "Selim Öztürk",
    "Tamás Szabó",
    "Uma Krishnan",
    "Viktor Horák",
    "Wei Zhang",
    "Zsófia Kiss",
)

_OUTSIDE_NAMES = (
    "Aisha Khan",
    "Alistair Finch",
    "Анна Соколова",
    "Beatriz Oliveira",
    "Björn Lindqvist",
    "Chen Siyuan",
    "Dimitra Economou",
    "Dorothy Marsh",
    "Émile Girard",
    "Fatima El-Sayed",
    "George Whitlock",
    "Horváth és Társa Kft.",
    "Harbour View Dental",
    "Ирина Белова",
    "James Thornton",
    "Jürgen Schäfer",
    "Kaito Mori",
    "Lucía Ortega",
    "Łukasz Wiśniewski",
    "Margit Halvorsen",
    "Meridian Freight Ltd",
    "Naomi Adeyemi",
    "Nordlicht Logistik GmbH",
    "Orsolya Varga",
    "Pavel Dvořák",
    "Ruth Abrams",
    "سمير حداد",
    "Siobhán Byrne",
    "Misaki Tanaka",
    "Thanh Nguyen",
    "Theodoros Alexandrou-Papanikolaou",
    "Yara Haddad",
)

DEPARTMENTS = (
    Person("4400", "Reception"),
    Person("4401", "Billing"),
    Person("4402", "Deliveries"),
    Person("4403", "Technical support"),
    Person("4404", "Appointments"),
)
"""Lines that ring at several desks."""

STAFF = tuple(Person(str(4410 + place), name) for place, name in enumerate(_STAFF_NAMES))
"""People with an extension of their own."""

# Ofcom (+44 20 7946 0xxx), NANPA (555-01xx), ACMA (+61 2 5550 xxxx), ARCEP (+33 1 99 00 xx xx),
# Bundesnetzagentur (+49 30 23125 xxx) and PTS (+46 8 465 004 xx) keep these free;
# +36 1 555 01xx follows the same custom.
_RANGES = (
    ("+442079460", 3),
    ("+121255501", 2),
    ("+131255501", 2),
    ("+36155501", 2),
    ("+6125550", 4),
    ("+3319900", 4),
    ("+493023125", 3),
    ("+468465004", 2),
)


def _outside(seed: str, count: int) -> tuple[Person, ...]:
    random = Random(seed)
    people: list[Person] = []
    taken: set[str] = set()
    while len(people) < count:
        prefix, digits = random.choice(_RANGES)
        number = prefix + f"{random.randrange(10**digits):0{digits}d}"
        if number in taken:
            continue
        taken.add(number)
        # every known name once, then callers who are not in the address book
        people.append(
            Person(number, _OUTSIDE_NAMES[len(people)] if len(people) < len(_OUTSIDE_NAMES) else "")
        )
    return tuple(people)


OUTSIDE = _outside("outside", 48)
"""Callers from outside; the same person always has the same number."""
