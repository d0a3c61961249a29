"""One server's web hooks: the provider's adapter between the listener and the program's own words."""

from __future__ import annotations

from recmon.errors import HookUnreadable, MalformedMessage
from recmon.settings.model import Secret
from recmon.vendors.hooks import HookRequest, HookResult
from recmon.vendors.telephony.contract import TelephonyAdapter
from recmon.vendors.telephony.translate import Translation


class TelephonyHooks:
    """See `HookParser`.

    Args:
        secret: the last part of the server's address.
        adapter: the provider's.
        translation: keeps in mind what is between messages.
    """

    def __init__(self, secret: Secret, adapter: TelephonyAdapter, translation: Translation) -> None:
        self._secret = secret
        self._adapter = adapter
        self._translation = translation

    @property
    def secret(self) -> Secret:
        return self._secret

    def verify(self, request: HookRequest) -> str | None:
        return self._adapter.verify(request)

    def parse(self, request: HookRequest) -> HookResult:
        try:
            results = self._adapter.parse(request)
        except HookUnreadable:
            raise
        except MalformedMessage as error:
            raise HookUnreadable(error.detail, excerpt=error.excerpt, offset=error.offset) from error
        return self._translation.result(results, request)
