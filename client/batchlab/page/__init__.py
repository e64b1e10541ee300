"""The customer's page: one static HTML for each job, written at each change and served as it lies there."""

from batchlab.page.links import download_url, is_token, page_url, token
from batchlab.page.pages import Pages, open_pages
from batchlab.page.publishing import publish

__all__ = ["Pages", "download_url", "is_token", "open_pages", "page_url", "publish", "token"]
