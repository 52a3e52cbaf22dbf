#!/bin/sh
# The program: it serves the page for as long as the instance runs.
exec httpd -f -p "$PORT" -h "$PAGES"
