//! The sessions of signed-in people, their refresh tokens, and the one-time codes on their way: in memory, as long as
//! the stack.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::keys::random_text;

/// How long a mailed link or code is good for.
const CODE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A used refresh token is still taken for this long, as on hosted projects: two tabs may refresh at once.
const REUSE_INTERVAL: Duration = Duration::from_secs(10);

/// A mailed sign-in that has not been used.
#[derive(Debug, Clone)]
pub(crate) struct OneTimeCode {
    pub(crate) user: Uuid,
    pub(crate) email: String,
    /// What the link carries.
    pub(crate) token_hash: String,
    /// What a person types.
    pub(crate) digits: String,
    /// The PKCE challenge that the browser sent along, with its method.
    pub(crate) challenge: Option<Challenge>,
    made: Instant,
}

/// RFC 7636: the hash (or text) of a secret that the browser keeps.
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    pub(crate) challenge: String,
    pub(crate) method: String,
}

#[derive(Debug)]
struct RefreshToken {
    user: Uuid,
    session: Uuid,
    used: Option<Instant>,
}

/// Why a refresh token is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RefreshRefused {
    Unknown,
    AlreadyUsed,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<Uuid, Uuid>,
    refresh_tokens: HashMap<String, RefreshToken>,
    one_time_codes: Vec<OneTimeCode>,
    /// PKCE authorization codes: what the redirect carries, to be exchanged with the verifier.
    exchanges: HashMap<String, (Uuid, Challenge)>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new session of `user`, and its first refresh token.
    pub(crate) fn open(&self, user: Uuid) -> (Uuid, String) {
        let session = Uuid::new_v4();
        let mut state = self.lock();
        state.sessions.insert(session, user);
        (session, state.issue(user, session))
    }

    /// Whether `session` is (still) open.
    pub(crate) fn is_open(&self, session: Uuid) -> bool {
        self.lock().sessions.contains_key(&session)
    }

    /// Exchanges a refresh token for the next one: user, session, token.
    pub(crate) fn refresh(&self, token: &str) -> Result<(Uuid, Uuid, String), RefreshRefused> {
        let mut state = self.lock();
        let known = state.refresh_tokens.get_mut(token).ok_or(RefreshRefused::Unknown)?;
        if known.used.is_some_and(|used| used.elapsed() > REUSE_INTERVAL) {
            return Err(RefreshRefused::AlreadyUsed);
        }
        known.used.get_or_insert_with(Instant::now);
        let (user, session) = (known.user, known.session);
        if !state.sessions.contains_key(&session) {
            return Err(RefreshRefused::Unknown);
        }
        let next = state.issue(user, session);
        Ok((user, session, next))
    }

    /// Ends sessions of `user`: all for which `ends` holds.
    pub(crate) fn close(&self, user: Uuid, ends: impl Fn(Uuid) -> bool) {
        let mut state = self.lock();
        state.sessions.retain(|session, owner| *owner != user || !ends(*session));
        state.refresh_tokens.retain(|_, token| token.user != user || !ends(token.session));
    }

    /// Makes a one-time code; an earlier one of the same person ends.
    pub(crate) fn mail_code(&self, user: Uuid, email: &str, challenge: Option<Challenge>) -> OneTimeCode {
        let digits: String = {
            let number: u32 = rand::random();
            format!("{:06}", number % 1_000_000)
        };
        let code = OneTimeCode {
            user,
            email: email.to_owned(),
            token_hash: random_text(56),
            digits,
            challenge,
            made: Instant::now(),
        };
        let mut state = self.lock();
        state.one_time_codes.retain(|other| other.user != user);
        state.one_time_codes.push(code.clone());
        code
    }

    /// Takes the code that `matches`; each can be used once.
    pub(crate) fn use_code(&self, matches: impl Fn(&OneTimeCode) -> bool) -> Option<OneTimeCode> {
        let mut state = self.lock();
        state.one_time_codes.retain(|code| code.made.elapsed() < CODE_LIFETIME);
        let index = state.one_time_codes.iter().position(matches)?;
        Some(state.one_time_codes.swap_remove(index))
    }

    /// An authorization code for the redirect of a PKCE sign-in.
    pub(crate) fn offer_exchange(&self, user: Uuid, challenge: Challenge) -> String {
        let code = Uuid::new_v4().to_string();
        self.lock().exchanges.insert(code.clone(), (user, challenge));
        code
    }

    /// Takes an authorization code; each can be used once.
    pub(crate) fn take_exchange(&self, code: &str) -> Option<(Uuid, Challenge)> {
        self.lock().exchanges.remove(code)
    }
}

impl State {
    fn issue(&mut self, user: Uuid, session: Uuid) -> String {
        let token = random_text(12).to_lowercase();
        self.refresh_tokens.insert(token.clone(), RefreshToken { user, session, used: None });
        token
    }
}
