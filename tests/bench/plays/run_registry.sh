#!/usr/bin/env bash
# Runs the registry's container with the given digest of its inputs as label, in place of another one.
# CONTAINER DIGEST IMAGE DATA ENVIRONMENT_FILE
set -euo pipefail
container=$1 digest=$2 image=$3 data=$4 environment=$5
docker rm -f "$container" >/dev/null 2>&1 || true
docker run -d --name "$container" --label "bench.digest=$digest" --restart always --network bridge \
  --user 1000:1000 --read-only --tmpfs /tmp:size=16m,mode=1777 --cap-drop ALL --security-opt no-new-privileges:true \
  --publish 0.0.0.0:443:5000 --env-file "$environment" \
  --volume "$data:/var/lib/registry" \
  --volume /etc/registry-cache/docker.io/config.yml:/etc/registry-cache/config.yml:ro \
  --volume /etc/registry-cache/docker.io/credentials:/etc/registry-cache/credentials:ro \
  --volume /etc/registry-cache/tls/server.pem:/etc/registry-cache/server.pem:ro \
  --log-driver json-file --log-opt max-size=10m --log-opt max-file=3 \
  --health-cmd 'wget -q -O /dev/null http://127.0.0.1:5001/debug/health' --health-interval 30s \
  --entrypoint registry "$image" serve /etc/registry-cache/config.yml >/dev/null
