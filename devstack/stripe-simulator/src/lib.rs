//! A Stripe that runs on this machine.
