"""HTML and JSON for every command. Reads results, never computes them."""

from mcr2_landscape.report.documents import document as document
from mcr2_landscape.report.page import Page as Page
from mcr2_landscape.report.page import write_page as write_page
