#!/usr/bin/env bash
# Plays whole years of a company whose webhooks get lost now and then (tests/year), and counts the owner-hours in which somebody
# who pays was locked out, somebody who does not was let in, or somebody had the wrong tier or seats, by cause. Fails if billing-ops
# caused any, and prints the seed, the hour and everything that led to it. The same seed plays the same year.
#
#   scripts/year.sh [SEEDS [HOURS [SHAPES]]]    1..20, 8760 (a year), "many_rows one_row vercel" if not given
#
#   shape, seed       whose table, and what chance is made from
#   app               its webhook handler reads the subscription again from Stripe, or believes what the event carries
#   alone             owner-hours that webhooks alone would have left wrong
#   webhook           owner-hours until the next run, after a webhook got lost, came late or out of order
#   held, told        owner-hours until a person, an hour later, decided what the circuit breaker held or only a person can know
#   BILLING-OPS       owner-hours by what billing-ops wrote wrong, left wrong, or put in the way of the app; faults: how often
#   passes            over what Stripe's events spoke of, with YEAR_EVENTS=on: after two minutes, and at once for even seeds
#
# YEAR_AT_ONCE years are played side by side (2 if not set). A year is about 2,500 runs, because quiet hours are skipped: some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

export YEAR_SEEDS=${1:-1..20} YEAR_HOURS=${2:-8760} YEAR_SHAPES=${3:-"many_rows one_row vercel"}
# Always the whole workspace: Cargo picks features by what is built together, and the stack is a program of its own.
cargo build --quiet --workspace
RUST_BACKTRACE=0 exec cargo test --quiet --test year -- --ignored --nocapture
