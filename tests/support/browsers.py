"""Browsers that tests of pages look for."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Their programs, in the order in which they are taken."""

NO_BROWSER = f"no browser found: none of {', '.join(BROWSERS)} is installed"
