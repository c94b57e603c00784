#!/bin/bash
# The root file system of the 'internet' and of the upstream: made as the hosts' one, from services/packages.txt.
exec "${SOURCES:?}/base/build.sh"
