#!/usr/bin/env bash
# Starts a SIEM in Docker, holds the rules and the exporter to it and takes it away again:
# tests/live/run.sh elastic|opensearch|splunk
set -euo pipefail
cd "$(dirname "$0")/../.."
siem=${1:?elastic, opensearch or splunk}
compose=(docker compose --file "tests/live/$siem.yml" --project-name "keytrip-live-$siem")
secret() { "${PYTHON:-python3}" -c 'import uuid; print(uuid.uuid4())'; }

case $siem in
elastic)
    KEYTRIP_LIVE_ELASTIC_PASSWORD=$(secret) KIBANA_PASSWORD=$(secret)
    export KEYTRIP_LIVE_ELASTIC_PASSWORD KIBANA_PASSWORD KEYTRIP_LIVE_ELASTIC_USER=elastic
    export KEYTRIP_LIVE_ELASTIC_URL=http://127.0.0.1:9200 KEYTRIP_LIVE_ELASTIC_KIBANA_URL=http://127.0.0.1:5601
    ;;
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
if [ "$siem" = elastic ]; then
    "${compose[@]}" up --detach --wait elasticsearch
    # shellcheck disable=SC2016 # the variables are the container's
    "${compose[@]}" exec --no-TTY elasticsearch sh -c 'curl --silent --fail --user "elastic:$ELASTIC_PASSWORD" \
        --header "Content-Type: application/json" --data "{\"password\": \"$KIBANA_PASSWORD\"}" \
        localhost:9200/_security/user/kibana_system/_password'
fi
"${compose[@]}" up --detach --wait
"${PYTHON:-python3}" -m pytest tests/live -k "$siem"
