//! Who calls: a machine with a secret, or a person with a token.
//!
//! Machine secrets are compared by [`crate::secret`], in constant time over hashes. A person's token is only checked for its shape here:
//! PostgREST verifies it and SQL decides what the person may do, in the same round trip as the work.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::config::{Config, SettingError};
use crate::context::Context;
use crate::http::call::Call;
use crate::http::error::ApiError;
use crate::secret::{MachineSecret, Secret, matches_any};
use crate::supabase::judged::Admin;

/// The longest bearer token that is looked at, in bytes. Supabase's access tokens stay well under it.
const LONGEST_TOKEN: usize = 8 * 1024;

/// The token of an `Authorization: Bearer` header, scheme in any case
/// (<https://www.rfc-editor.org/rfc/rfc6750#section-2.1>).
///
/// Errors: 401 where there is none, more than one, another scheme, or something that cannot be a token.
pub fn bearer(headers: &HeaderMap) -> Result<Secret, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::unauthorized());
    };
    let (scheme, token) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(ApiError::unauthorized)?;
    let token = token.trim_matches(' ');
    let fit = !token.is_empty()
        && token.len() <= LONGEST_TOKEN
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("bearer") && fit {
        Ok(Secret::new(token))
    } else {
        Err(ApiError::unauthorized())
    }
}

/// A person's access token: three dot-separated parts of base64url, so that anything else is refused without asking the
/// database. What it says is for PostgREST to judge.
fn person(headers: &HeaderMap) -> Result<Secret, ApiError> {
    let token = bearer(headers)?;
    if looks_like_jwt(token.expose()) { Ok(token) } else { Err(ApiError::unauthorized()) }
}

fn looks_like_jwt(token: &str) -> bool {
    let parts: Vec<&str> = token.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// A person with a token, for whatever an admin may do; each call to the database says whether they are one.
///
/// Errors: 503 where the database or the key for calls in a person's name is not set; 401 for what cannot be a token.
pub fn admin<'a>(context: &'a Context, call: &Call) -> Result<Admin<'a>, ApiError> {
    let database = context.supabase_for_people()?;
    Ok(Admin::new(database, person(&call.headers)?, call.client()))
}

/// Who may call the monitor or the reconciler.
#[derive(Debug)]
pub enum Caller {
    /// Vercel's cron, with `CRON_SECRET`.
    Cron,
    /// Another scheduler or a person with curl, with the endpoint's own secret.
    Machine,
    /// A person; the database has yet to say whether they are an admin.
    Person(Secret),
}

/// The secret of that name and its `_PREVIOUS` twin, for an endpoint that nothing else opens. Errors: 503 where it is missing or one is
/// unfit.
fn own_secrets(config: &Config, name: &str) -> Result<Vec<MachineSecret>, ApiError> {
    let secrets = config.machine_secrets(name)?;
    if config.is_set(name) { Ok(secrets) } else { Err(SettingError(format!("{name} is not set.")).into()) }
}

/// The secrets that open `/api/subscriptions/reconcile`. Errors: 503 where one is missing or unfit.
pub fn reconcile_secrets(config: &Config) -> Result<Vec<MachineSecret>, ApiError> {
    own_secrets(config, "RECONCILE_SECRET")
}

/// The secrets that open `/api/metrics`. Errors: 503 where one is missing or unfit; no other secret takes its place.
pub fn metrics_secrets(config: &Config) -> Result<Vec<MachineSecret>, ApiError> {
    own_secrets(config, "METRICS_SECRET")
}

/// The secrets that open the monitor: `MONITOR_SECRET`, or `RECONCILE_SECRET` where that is not set.
/// Errors: 503 where neither is set or one is unfit; an unfit `MONITOR_SECRET` never falls back.
pub fn monitor_secrets(config: &Config) -> Result<Vec<MachineSecret>, ApiError> {
    let secrets = config.machine_secrets("MONITOR_SECRET")?;
    if config.is_set("MONITOR_SECRET") {
        return Ok(secrets);
    }
    reconcile_secrets(config).map_err(|_| {
        SettingError("Neither MONITOR_SECRET nor RECONCILE_SECRET is set and fit.".into()).into()
    })
}

/// Tells a machine from the rest. Both sets are always compared. `None`: the token is none of the secrets.
pub fn machine(token: &Secret, own: &[MachineSecret], cron: &[MachineSecret]) -> Option<Caller> {
    let (is_own, is_cron) = (matches_any(token.expose(), own), matches_any(token.expose(), cron));
    match (is_own, is_cron) {
        (_, true) => Some(Caller::Cron),
        (true, false) => Some(Caller::Machine),
        (false, false) => None,
    }
}

/// As [`machine`], with a person's token let through for the database to judge. Errors: 401 for anything else.
pub fn machine_or_person(
    token: Secret,
    own: &[MachineSecret],
    cron: &[MachineSecret],
) -> Result<Caller, ApiError> {
    match machine(&token, own, cron) {
        Some(caller) => Ok(caller),
        None if looks_like_jwt(token.expose()) => Ok(Caller::Person(token)),
        None => Err(ApiError::unauthorized()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const SECRET: &str = "0123456789abcdef";

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).expect("a header value"));
        }
        headers
    }

    #[test]
    fn the_scheme_comes_in_any_case_and_only_once() {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let token = bearer(&headers(&[format!("{scheme} {SECRET}").as_bytes()]));
            assert_eq!(token.expect("accepted").expose(), SECRET);
        }
        for odd in
            [&b""[..], b"Bearer", b"Bearer ", b"Basic 0123456789abcdef", b"Bearer a b", b"Bearer \xff\xfe"]
        {
            assert!(bearer(&headers(&[odd])).is_err(), "{odd:?}");
        }
        assert!(bearer(&headers(&[b"Bearer 0123456789abcdef", b"Bearer 0123456789abcdef"])).is_err());
        assert!(bearer(&HeaderMap::new()).is_err());
        assert!(bearer(&headers(&[format!("Bearer {}", "a".repeat(LONGEST_TOKEN + 1)).as_bytes()])).is_err());
    }

    #[test]
    fn what_is_no_jwt_is_no_person() {
        for token in ["a.b", "a..c", "a.b.c.d", "a.b.c+", SECRET] {
            assert!(!looks_like_jwt(token), "{token}");
        }
        assert!(looks_like_jwt("eyJh.eyJz.c2ln-_"));
    }

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_monitor_falls_back_only_where_its_secret_is_not_set() {
        let fallback = config(&[("RECONCILE_SECRET", SECRET)]);
        assert!(matches_any(SECRET, &monitor_secrets(&fallback).expect("falls back")));
        let own = config(&[("RECONCILE_SECRET", SECRET), ("MONITOR_SECRET", "another-secret-16")]);
        assert!(!matches_any(SECRET, &monitor_secrets(&own).expect("its own")));
        for unfit in ["", "short"] {
            let config = config(&[("RECONCILE_SECRET", SECRET), ("MONITOR_SECRET", unfit)]);
            assert!(monitor_secrets(&config).is_err(), "{unfit:?}");
        }
        assert!(monitor_secrets(&config(&[])).is_err());
    }

    #[test]
    fn a_previous_secret_alone_does_not_open() {
        assert!(reconcile_secrets(&config(&[("RECONCILE_SECRET_PREVIOUS", SECRET)])).is_err());
        assert!(metrics_secrets(&config(&[("METRICS_SECRET_PREVIOUS", SECRET)])).is_err());
    }

    #[test]
    fn metrics_are_opened_by_their_own_secrets_only() {
        let others = [("RECONCILE_SECRET", SECRET), ("MONITOR_SECRET", SECRET), ("CRON_SECRET", SECRET)];
        assert!(metrics_secrets(&config(&others)).is_err());
        let own = config(&[("METRICS_SECRET", SECRET), ("METRICS_SECRET_PREVIOUS", "the-previous-one")]);
        let secrets = metrics_secrets(&own).expect("fit");
        assert!(matches_any(SECRET, &secrets) && matches_any("the-previous-one", &secrets));
    }
}
