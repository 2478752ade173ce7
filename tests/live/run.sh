#!/usr/bin/env bash
# Starts a SIEM in Docker, holds the rules to it and takes it away again: tests/live/run.sh elastic|opensearch|splunk
set -euo pipefail
cd "$(dirname "$0")/../.."
siem=${1:?elastic, opensearch or splunk}
compose=(docker compose --file "tests/live/$siem.yml" --project-name "keytrip-live-$siem")
secret() { "${PYTHON:-python3}" -c 'import uuid; print(uuid.uuid4())'; }

case $siem in
elastic) export KEYTRIP_LIVE_ELASTIC_URL=http://127.0.0.1:9200 ;;
opensearch) export KEYTRIP_LIVE_OPENSEARCH_URL=http://127.0.0.1:9201 ;;
splunk)
    KEYTRIP_LIVE_SPLUNK_PASSWORD=$(secret) KEYTRIP_LIVE_SPLUNK_HEC_TOKEN=$(secret)
    export KEYTRIP_LIVE_SPLUNK_PASSWORD KEYTRIP_LIVE_SPLUNK_HEC_TOKEN
    export KEYTRIP_LIVE_SPLUNK_URL=https://127.0.0.1:8089 KEYTRIP_LIVE_SPLUNK_HEC_URL=https://127.0.0.1:8088
    # its certificate is its own, made as it starts
    export KEYTRIP_LIVE_SPLUNK_USER=admin KEYTRIP_LIVE_INSECURE=1
    ;;
*) echo "no compose file for $siem: elastic, opensearch or splunk" >&2; exit 2 ;;
esac

trap '"${compose[@]}" down --volumes' EXIT
"${compose[@]}" up --detach --wait
"${PYTHON:-python3}" -m pytest tests/live -k "$siem"
