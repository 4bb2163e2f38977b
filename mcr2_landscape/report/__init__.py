"""HTML and JSON for every command. Reads results, never computes them."""

from mcr2_landscape.report.files import check_writable as check_writable
from mcr2_landscape.report.files import document as document
from mcr2_landscape.report.files import write_json as write_json
from mcr2_landscape.report.page import Page as Page
from mcr2_landscape.report.page import write_page as write_page
