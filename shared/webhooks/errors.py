"""Why an operator's command about webhooks fails."""

from shared.errors import FitTrackError


class InvalidWebhookUrlError(FitTrackError):
    """The URL can't be used; the text says why."""


class WebhookExistsError(FitTrackError):
    """The app has this endpoint already."""


class UnknownWebhookError(FitTrackError):
    """There is no such endpoint."""


class AmbiguousWebhookError(FitTrackError):
    """The app has several endpoints."""


class WebhookDisabledError(FitTrackError):
    """Nothing is delivered to this endpoint."""


class UnknownDeliveryError(FitTrackError):
    """There is no such delivery that has ended."""


class AddressRefusedError(FitTrackError):
    """Nothing is delivered to an address of this kind."""
