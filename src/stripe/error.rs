//! What can go wrong between here and Stripe, in sentences that may be shown to an operator: no key, no host, no body.

use std::fmt;

/// Stripe's `Request-Id`, with which its support and its dashboard find the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestId(pub Option<String>);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(id) => write!(formatter, " ({id})"),
            None => Ok(()),
        }
    }
}

/// Why a request to Stripe gave nothing. What could be retried has been retried when one of these is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// 401.
    #[error("Stripe does not accept the key in STRIPE_SECRET_KEY{request_id}.")]
    Unauthorized {
        /// Stripe's id of the request.
        request_id: RequestId,
    },
    /// 403: a restricted key without a permission that is needed.
    #[error(
        "The Stripe key may not do this{request_id}: give the restricted key the permission \"{permission}\" \
         (Stripe dashboard, Developers, API keys)."
    )]
    MissingPermission {
        /// As the dashboard names it, and Stripe's own name where it said so.
        permission: String,
        /// Stripe's id of the request.
        request_id: RequestId,
    },
    /// `resource_missing`: the object, or the object after which a page should begin.
    #[error("Stripe has no such object{request_id}.")]
    NotFound {
        /// The parameter that names the object: `id`, `starting_after`, …
        parameter: Option<String>,
        /// Stripe's id of the request.
        request_id: RequestId,
    },
    /// 429, again and again.
    #[error("Stripe refuses requests for coming too fast{request_id}.")]
    RateLimited {
        /// Stripe's id of the last request.
        request_id: RequestId,
    },
    /// No connection, no answer in time, an answer cut off, or 5xx, again and again.
    #[error("Stripe cannot be reached or does not work: {reason}{request_id}.")]
    Unavailable {
        /// In a few words, without addresses.
        reason: String,
        /// Stripe's id of the last request.
        request_id: RequestId,
    },
    /// 200 with a body that is not what Stripe documents.
    #[error("Stripe answered something that is not its format: {reason}{request_id}.")]
    Malformed {
        /// What was wrong.
        reason: String,
        /// Stripe's id of the last request.
        request_id: RequestId,
    },
    /// Any other status below 500: a bug here, or a change there.
    #[error("Stripe refused the request with status {status}, code {code}{request_id}.")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stripe's error code and parameter, or `none`.
        code: String,
        /// Stripe's id of the request.
        request_id: RequestId,
    },
    /// The time that the caller gave was over before there was an answer.
    #[error("The time for asking Stripe was over.")]
    Deadline,
}

impl StripeError {
    /// Whether waiting helps: Stripe is down, slow or busy, as opposed to refusing or talking nonsense.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Deadline)
    }
}
