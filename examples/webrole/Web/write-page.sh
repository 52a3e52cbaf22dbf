#!/bin/sh
# A startup task: makes the page, before the program starts.
echo "$GREETING ($RoleInstanceID)" >"$PAGES/index.html"
