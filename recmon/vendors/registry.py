"""The list of vendors. Adding one means a folder, an import and an entry here."""

from __future__ import annotations

from collections.abc import Mapping

from recmon.vendors import aculab, huawei_ccfs, telephony, verba
from recmon.vendors.base import VendorAdapter

ADAPTERS: Mapping[str, VendorAdapter] = {
    adapter.name: adapter
    for adapter in (verba.ADAPTER, huawei_ccfs.ADAPTER, aculab.ADAPTER, telephony.ADAPTER)
}
