#!/usr/bin/env bash
# Checks every endpoint on a local stack against public/openapi.json, with all of schemathesis's checks, as an admin and with a
# machine's secret. Fails if it finds anything. `scripts/schemathesis.sh [MAX_EXAMPLES] [SEED]`; takes about a minute.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

version=4.32.5
examples=${1:-25}
seed=${2:-1}
target=${CARGO_TARGET_DIR:-$root/target}
venv=$target/schemathesis-$version
devstack=${DEVSTACK_BIN:-$target/debug/devstack}

if [ ! -x "$venv/bin/schemathesis" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi
if [ ! -x "$devstack" ]; then
  echo "no $devstack: cargo build --bins && cargo build -p devstack" >&2
  exit 1
fi

work=$(mktemp -d)
# Every channel is set up, so that a test of one is tried; where it leads, nobody listens.
nobody=http://127.0.0.1:9
export NOTIFY_SLACK_URL=$nobody/slack NOTIFY_DISCORD_URL=$nobody/discord NOTIFY_WEBHOOK_URL=$nobody/webhook
export NOTIFY_WEBHOOK_SECRET=whsec_c2NoZW1hdGhlc2lzLXNjaGVtYXRoZXNpcw== NOTIFY_PAGERDUTY_KEY=0123456789abcdef0123456789abcdef
export NOTIFY_PAGERDUTY_BASE=$nobody RESEND_API_KEY=re_schemathesis RESEND_API_BASE=$nobody
export NOTIFY_EMAIL_FROM=from@example.test NOTIFY_EMAIL_TO=to@example.test
# One secret opens whatever a machine's secret opens: the tool knows one for all of it.
CRON_SECRET=$(python3 -c 'import secrets; print(secrets.token_hex(20))')
export CRON_SECRET METRICS_SECRET=$CRON_SECRET
"$devstack" up --port 0 --no-build --subscriptions 12 --empty --dir "$work/stack" >"$work/up.json" &
stack=$!
stop() {
  kill "$stack" 2>/dev/null || true
  wait "$stack" 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT
until [ -s "$work/up.json" ]; do
  kill -0 "$stack" 2>/dev/null || { echo "the stack did not start" >&2; exit 1; }
  sleep 0.1
done
of() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/up.json" "$1"; }
base=$(of base_url)

# There are alerts to resolve and runs to look at.
for path in admin/billing-alerts/monitor subscriptions/reconcile; do
  curl --silent --show-error --fail --output "$work/answer.json" --request POST \
    --header "Authorization: Bearer $(of cron_secret)" "$base/api/$path"
done

export ADMIN_TOKEN SCHEMATHESIS_HOOKS="$root/scripts/schemathesis_hooks.py" PYTHONDONTWRITEBYTECODE=1
ADMIN_TOKEN=$(of admin_token)
# Only Stripe can sign an event, so what is made up is refused however well it fits: tests/api/events.rs sends signed ones.
# From there, as it leaves files where it runs.
cd "$work"
"$venv/bin/schemathesis" --config-file "$root/scripts/schemathesis.toml" run "$root/public/openapi.json" --url "$base" \
  --exclude-path /api/stripe/events --checks all --max-examples "$examples" --seed "$seed" --no-color
