#!/bin/sh
# Checks a deployment from outside, with curl: who gets in, that a repeated alarm stays one alarm, that a repeated
# reconcile stays one run.
#
#   RECONCILE_SECRET=… MONITOR_SECRET=… CRON_SECRET=… scripts/smoke.sh https://billing.example.com
#
# From the environment: RECONCILE_SECRET (required), MONITOR_SECRET (if the deployment has one), CRON_SECRET,
# ADMIN_TOKEN (an admin's Supabase access token: then what admins read is checked too), and
# VERCEL_AUTOMATION_BYPASS_SECRET (for a preview behind Deployment Protection). What lacks its secret is skipped, visibly.
#
# Safe on production: it does what a cron call does, several times, and nothing else. It prints no secret, and none is
# ever on a command line: curl gets them in files that only this user can read.
set -eu
umask 077

base=${1:-}
base=${base%/}
case $base in
  https://?* | http://127.0.0.1* | http://localhost*) ;;
  *)
    echo "usage: RECONCILE_SECRET=… smoke.sh BASE_URL    (https, or http on this machine)" >&2
    exit 2
    ;;
esac
[ -n "${RECONCILE_SECRET:-}" ] || { echo "smoke: RECONCILE_SECRET is not set" >&2; exit 2; }
command -v curl >/dev/null || { echo "smoke: curl is not installed" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

monitor=/api/admin/billing-alerts/monitor
reconcile=/api/subscriptions/reconcile
alerts=/api/admin/billing-alerts
runs=/api/admin/reconciliation-logs
# A run may take as long as its budget; anything else answers at once.
longest=320
failed=0
passed=0
skipped=0

ok() { passed=$((passed + 1)); printf 'ok    %s\n' "$1"; }
fail() { failed=$((failed + 1)); printf 'FAIL  %s: %s\n' "$1" "$2"; }
skip() { skipped=$((skipped + 1)); printf 'skip  %s: %s\n' "$1" "$2"; }

# header_file NAME HEADER SECRET: a curl configuration that sends HEADER with the secret. printf is the shell's own.
header_file() {
  printf '%s' "$3" | sed 's/[\\"]/\\&/g' >"$work/value"
  { printf 'header = "%s' "$2"; cat "$work/value"; printf '"\n'; } >"$work/$1.curl"
  rm "$work/value"
  printf '%s\n' "$3" >>"$work/secrets"
}
: >"$work/nobody.curl"
: >"$work/bypass.curl"
header_file wrong 'Authorization: Bearer ' 'this-is-not-the-secret-0000000000'
: >"$work/secrets"
header_file reconcile 'Authorization: Bearer ' "$RECONCILE_SECRET"
monitor_as=reconcile
if [ -n "${MONITOR_SECRET:-}" ]; then
  header_file monitor 'Authorization: Bearer ' "$MONITOR_SECRET"
  monitor_as=monitor
fi
[ -z "${CRON_SECRET:-}" ] || header_file cron 'Authorization: Bearer ' "$CRON_SECRET"
[ -z "${ADMIN_TOKEN:-}" ] || header_file admin 'Authorization: Bearer ' "$ADMIN_TOKEN"
[ -z "${VERCEL_AUTOMATION_BYPASS_SECRET:-}" ] ||
  header_file bypass 'x-vercel-protection-bypass: ' "$VERCEL_AUTOMATION_BYPASS_SECRET"

# send NAME METHOD PATH WHO: leaves NAME.status, NAME.headers and NAME.body behind. Status 000: no answer.
send() {
  set -- "$1" "$2" "$3" "$4" "-X$2"
  [ "$2" != HEAD ] || set -- "$1" "$2" "$3" "$4" --head
  curl --silent --max-time "$longest" --connect-timeout 10 --proto '=http,https' --config "$work/$4.curl" \
    --config "$work/bypass.curl" --dump-header "$work/$1.headers" --output "$work/$1.body" \
    --write-out '%{http_code}' "$5" "$base$3" >"$work/$1.status" || :
  [ -e "$work/$1.body" ] || : >"$work/$1.body"
  [ -e "$work/$1.headers" ] || : >"$work/$1.headers"
}

# keeps_secrets NAME WHAT: no answer may give back what was sent to open the door.
keeps_secrets() {
  ! grep -qFf "$work/secrets" "$work/$1.headers" "$work/$1.body" || fail "$2" 'the answer holds a secret'
}
status() { cat "$work/$1.status"; }
# header NAME FIELD: the header's value, without the line's end.
header() { sed -n "s/^$2: *//Ip" "$work/$1.headers" | tr -d '\r' | tail -n 1; }
# field NAME FIELD: the first value of that name, without quotation marks.
field() { grep -o "\"$2\": *\(\"[^\"]*\"\|[^,{}]*\)" "$work/$1.body" | head -n 1 | sed 's/^"[^"]*": *//; s/^"//; s/"$//'; }
# list NAME FIELD: an array of words, as it stands.
list() { grep -o "\"$2\": *\[[^]]*\]" "$work/$1.body" | head -n 1 | sed 's/^"[^"]*": *//'; }
# why NAME: what the answer says of itself, for a failure.
why() {
  printf 'status %s' "$(status "$1")"
  if [ -n "$(field "$1" code)" ]; then
    printf ', %s: %s' "$(field "$1" code)" "$(field "$1" error)"
  elif [ "$(status "$1")" = 000 ]; then
    printf ' (no answer)'
  elif grep -qi '^server: *vercel' "$work/$1.headers" && grep -qi '<html' "$work/$1.body"; then
    printf ' (a page of the platform: Deployment Protection? VERCEL_AUTOMATION_BYPASS_SECRET lets this script in)'
  fi
}

# call METHOD PATH WHO: sends as "answer"; a rate limit is waited out once, for as long as it says.
call() {
  send answer "$1" "$2" "$3"
  if [ "$(status answer)" = 429 ]; then
    sleep "$(header answer retry-after | grep -E '^[0-9]{1,3}$' || echo 60)"
    send answer "$1" "$2" "$3"
  fi
  keeps_secrets answer "$1 $2"
}
# expect WHAT STATUS METHOD PATH WHO [CODE]
expect() {
  call "$3" "$4" "$5"
  if [ "$(status answer)" != "$2" ]; then
    fail "$1" "$(why answer), expected $2"
  elif [ -n "${6:-}" ] && [ "$(field answer code)" != "$6" ]; then
    fail "$1" "code $(field answer code), expected $6"
  else
    ok "$1"
  fi
}

echo "Checking $base"

# The deployment ---------------------------------------------------------------------------------------------------

call GET /api/health nobody
if [ "$(status answer)" != 200 ]; then
  fail 'health answers' "$(why answer)"
  echo "Nothing else can be checked."
  exit 1
fi
ok "health answers: version $(field answer version)"
if [ -n "$(header answer x-request-id)" ] && [ "$(header answer x-request-id)" = "$(field answer request_id)" ] &&
  [ "$(header answer cache-control)" = no-store ]; then
  ok 'answers carry a request id and are never cached'
else
  fail 'answers carry a request id and are never cached' "x-request-id or cache-control is missing"
fi
if [ "$(list answer complaints)" = '[]' ]; then
  ok 'no setting is unfit'
else
  fail 'no setting is unfit' "$(list answer complaints)"
fi
expect 'the database answers and has the migrations' 200 GET '/api/health?deep=1' nobody
expect 'the browser gets its configuration' 200 GET /api/config nobody
expect 'the page is there' 200 GET / nobody
expect 'a path that is none says so' 404 GET /api/nothing nobody not_found
for file in Cargo.toml vercel.json src/lib.rs supabase/migrations/20250127000000_billing_base.sql .env; do
  expect "no source is published: /$file" 404 GET "/$file" nobody
done

# Who gets in ------------------------------------------------------------------------------------------------------

for path in "$monitor" "$reconcile"; do
  expect "nobody gets in: POST $path" 401 POST "$path" nobody unauthorized
  expect "nobody gets in: GET $path" 401 GET "$path" nobody unauthorized
  expect "a wrong secret does not open $path" 401 POST "$path" wrong unauthorized
  expect "HEAD starts nothing at $path" 405 HEAD "$path" nobody
done
for path in "$alerts" "$runs"; do
  expect "nobody reads $path" 401 GET "$path" nobody unauthorized
  expect "a machine secret reads no $path" 401 GET "$path" reconcile unauthorized
done
expect 'a typo is no default' 400 POST "$reconcile?typ=manual" reconcile invalid_request
if [ -n "${MONITOR_SECRET:-}" ] && [ "$MONITOR_SECRET" != "$RECONCILE_SECRET" ]; then
  expect 'the reconcile secret does not open the monitor' 401 POST "$monitor" reconcile unauthorized
  expect 'the monitor secret does not open the reconciler' 401 POST "$reconcile" monitor unauthorized
else
  skip 'each secret opens its own door' 'set MONITOR_SECRET'
fi

# One alarm stays one ----------------------------------------------------------------------------------------------

# What one call found to hold, the next one must refresh: raising it again would be a second alert.
open=
for number in 1 2 3; do
  call POST "$monitor" "$monitor_as"
  what="monitor, call $number of 3"
  if [ "$(status answer)" != 200 ] || [ "$(field answer success)" != true ]; then
    fail "$what" "$(why answer)"
    continue
  fi
  raised=$(list answer raised)
  again=
  for key in $(printf '%s' "$raised" | tr -d '[]" ' | tr ',' ' '); do
    case " $open " in *" $key "*) again="$again $key" ;; esac
  done
  for key in $(list answer resolved | tr -d '[]" ' | tr ',' ' '); do
    open=$(printf ' %s ' "$open" | sed "s/ $key / /g")
  done
  open="$open $(printf '%s %s' "$raised" "$(list answer refreshed)" | tr -d '[]"' | tr ',' ' ')"
  if [ -z "$again" ]; then
    ok "$what: raised $raised, refreshed $(list answer refreshed), resolved $(list answer resolved)"
  else
    fail "$what" "raised although open:$again"
  fi
done

# One run stays one ------------------------------------------------------------------------------------------------

# Two at the same moment, as two schedulers or two clicks would. At the turn of an hour they have different keys: the
# second then finds the first one running, which is the same answer. Only an hour that turns after the first has ended
# makes two runs of them, rightly; the pair is sent again then.
for round in 1 2; do
  send first POST "$reconcile?type=scheduled" reconcile &
  one=$!
  send second POST "$reconcile?type=scheduled" reconcile &
  two=$!
  wait "$one"
  wait "$two"
  [ "$round" = 1 ] || break
  [ "$(status first)" = 429 ] || [ "$(status second)" = 429 ] || [ "$(field first run_key)" != "$(field second run_key)" ] || break
  sleep "$({ header first retry-after; header second retry-after; echo 0; } | grep -E '^[0-9]{1,3}$' | sort -rn | head -n 1)"
done
what='reconcile, two calls at once'
keeps_secrets first "$what"
keeps_secrets second "$what"
if [ "$(status first)" != 200 ] || [ "$(status second)" != 200 ]; then
  fail "$what" "$(why first); $(why second)"
elif [ -z "$(field first reconciliation_log_id)" ] ||
  [ "$(field first reconciliation_log_id)" != "$(field second reconciliation_log_id)" ]; then
  fail "$what" "two runs: $(field first reconciliation_log_id) and $(field second reconciliation_log_id)"
elif [ "$(field first duplicate)" != true ] && [ "$(field second duplicate)" != true ]; then
  fail "$what" 'both say that they did the work'
else
  ok "$what: one run, $(field first run_key), outcomes $(field first outcome) and $(field second outcome)"
fi

call POST "$reconcile?type=scheduled" reconcile
what='reconcile, a third call after it'
if [ "$(status answer)" != 200 ]; then
  fail "$what" "$(why answer)"
else
  ok "$what: $(field answer outcome), status $(field answer status): $(field answer message)"
fi

# Cron -------------------------------------------------------------------------------------------------------------

if [ -n "${CRON_SECRET:-}" ]; then
  expect 'cron, by GET with CRON_SECRET, opens the monitor' 200 GET "$monitor" cron
  expect 'cron, by GET with CRON_SECRET, opens the reconciler' 200 GET "$reconcile" cron
else
  skip 'cron gets in' 'set CRON_SECRET'
fi

# What admins read -------------------------------------------------------------------------------------------------

if [ -n "${ADMIN_TOKEN:-}" ]; then
  expect 'an admin reads runs' 200 GET "$runs" admin
  expect 'an admin reads alerts' 200 GET "$alerts?status=open&limit=200" admin
  twice=$(grep -o '"alert_key": *"[^"]*"' "$work/answer.body" | sort | uniq -d)
  if [ -z "$twice" ]; then
    ok "no condition has two open alerts ($(grep -o '"alert_key": *"' "$work/answer.body" | wc -l) open)"
  else
    fail 'no condition has two open alerts' "$twice"
  fi
else
  skip 'what admins read' 'set ADMIN_TOKEN to the access token of an admin'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
