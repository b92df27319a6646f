"""One HTML file per run, or for several: what was run, its curves and table, and every answer.

The file needs no network and no other file. What a model wrote is data in it, which the page
shows as text; a Content-Security-Policy with the hashes of our own style and script keeps
anything else from running. Importing this package imports no library that is slow to load.
"""

from rftcore.reports.writing import MAX_MB, Written, find_runs, write_report

__all__ = ["MAX_MB", "Written", "find_runs", "write_report"]
