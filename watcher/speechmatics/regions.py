"""Where Speechmatics runs its Batch service.

Source: https://docs.speechmatics.com/get-started/authentication, "Supported endpoints".
"""

import os

from watcher.speechmatics.models import OpenEnum

__all__ = ["URL_VARIABLE", "Region", "default_url"]

URL_VARIABLE = "SPEECHMATICS_BATCH_URL"


class Region(OpenEnum):
    """The regions that are open to all customers. A job lives only in the region it was submitted to."""

    EU1 = "eu1"
    US1 = "us1"
    AU1 = "au1"

    @property
    def url(self) -> str:
        """The base URL of the region's Batch service."""
        return f"https://{self.value}.asr.api.speechmatics.com/v2"


def default_url() -> str:
    """The URL to use when none was given: ``SPEECHMATICS_BATCH_URL``, or the EU1 region's."""
    return os.environ.get(URL_VARIABLE) or Region.EU1.url
