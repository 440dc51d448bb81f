//! Who may call what: the one table. It is asserted over HTTP (`tests/api/access_matrix.rs`) and printed into docs/SECURITY.md.

use serde_json::{Value, json};

use crate::paths::{
    ALERTS, APPROVE_MANY, CONFIG, DRIFT, EVENTS, HEALTH, METRICS, MONITOR, NOTIFICATIONS, POLICIES,
    RECONCILE, RECONCILE_NOW, RUNS,
};

/// A function as callers see it.
pub struct Endpoint {
    /// What the table calls it.
    pub name: &'static str,
    /// `{alert}` and `{run}` stand for ids that exist, `{nothing}` for one that does not.
    pub path: &'static str,
    /// What it answers besides OPTIONS, in the order of `allow`; everything else is 405 for everyone.
    pub methods: &'static [&'static str],
}

/// Every endpoint, in the order of the table's columns.
pub const ENDPOINTS: [Endpoint; 25] = [
    Endpoint { name: "health", path: HEALTH, methods: &["GET", "HEAD"] },
    Endpoint { name: "config", path: CONFIG, methods: &["GET", "HEAD"] },
    Endpoint { name: "reconcile", path: RECONCILE, methods: &["GET", "POST"] },
    Endpoint { name: "monitor", path: MONITOR, methods: &["GET", "POST"] },
    Endpoint { name: "alerts", path: ALERTS, methods: &["GET", "HEAD"] },
    Endpoint { name: "resolve", path: "/api/admin/billing-alerts/{alert}/resolve", methods: &["POST"] },
    Endpoint { name: "reconcile now", path: RECONCILE_NOW, methods: &["POST"] },
    Endpoint { name: "runs", path: RUNS, methods: &["GET", "HEAD"] },
    Endpoint { name: "run", path: "/api/admin/reconciliation-logs/{run}", methods: &["GET", "HEAD"] },
    Endpoint { name: "drift", path: DRIFT, methods: &["GET", "HEAD"] },
    Endpoint { name: "approve", path: "/api/admin/drift/{nothing}/approve", methods: &["POST"] },
    Endpoint { name: "approve many", path: APPROVE_MANY, methods: &["POST"] },
    Endpoint { name: "revert", path: "/api/admin/drift/{nothing}/revert", methods: &["POST"] },
    Endpoint { name: "except", path: "/api/admin/drift/{nothing}/except", methods: &["POST"] },
    Endpoint { name: "unexcept", path: "/api/admin/drift/{nothing}/unexcept", methods: &["POST"] },
    Endpoint { name: "policies", path: POLICIES, methods: &["GET", "HEAD", "PUT"] },
    Endpoint {
        name: "acknowledge",
        path: "/api/admin/billing-alerts/{nothing}/acknowledge",
        methods: &["POST"],
    },
    Endpoint {
        name: "unacknowledge",
        path: "/api/admin/billing-alerts/{nothing}/unacknowledge",
        methods: &["POST"],
    },
    Endpoint { name: "snooze", path: "/api/admin/billing-alerts/{nothing}/snooze", methods: &["POST"] },
    Endpoint { name: "unsnooze", path: "/api/admin/billing-alerts/{nothing}/unsnooze", methods: &["POST"] },
    Endpoint { name: "note", path: "/api/admin/billing-alerts/{nothing}/note", methods: &["POST"] },
    Endpoint { name: "notifications", path: NOTIFICATIONS, methods: &["GET", "HEAD", "POST"] },
    Endpoint { name: "events", path: EVENTS, methods: &["POST"] },
    Endpoint { name: "metrics", path: METRICS, methods: &["GET", "HEAD"] },
    Endpoint { name: "export", path: "/api/admin/export?what=drift", methods: &["GET", "HEAD"] },
];

impl Endpoint {
    /// What is sent where a body is needed.
    #[must_use]
    pub fn body(&self, method: &str) -> Option<Value> {
        match (self.name, method) {
            ("approve many", "POST") => Some(json!({ "ids": ["00000000-0000-4000-8000-000000000000"] })),
            ("except", "POST") => Some(json!({ "days": 1, "reason": "a test" })),
            ("policies", "PUT") => {
                Some(json!({ "type": "status_mismatch", "mode": "auto", "if_version": 1_000_000 }))
            }
            ("snooze", "POST") => Some(json!({ "minutes": 5 })),
            ("note", "POST") => Some(json!({ "note": "a test" })),
            ("notifications", "POST") => Some(json!({ "test": "slack" })),
            _ => None,
        }
    }

    /// What somebody is answered who is let in (200 in the table): they name an entry or an alert that is not there,
    /// a version that is none, and a channel that is not set up.
    #[must_use]
    pub fn admitted(&self, method: &str) -> u16 {
        match (self.name, method) {
            ("approve" | "revert" | "except" | "unexcept", _)
            | ("acknowledge" | "unacknowledge" | "snooze" | "unsnooze" | "note", _) => 404,
            ("notifications", "POST") => 400,
            ("policies", "PUT") => 409,
            _ => 200,
        }
    }
}

/// Every method that is tried.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Who calls, or who pretends to be whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table says in words who each is")]
pub enum Principal {
    Nobody,
    EmptyHeader,
    EmptyToken,
    OtherScheme,
    TwoWords,
    WrongSecret,
    ReconcileSecret,
    ReconcileSecretPrevious,
    MonitorSecret,
    MonitorSecretPrevious,
    CronSecret,
    CronSecretPrevious,
    MetricsSecret,
    MetricsSecretPrevious,
    PublishableKey,
    SecretKey,
    LegacyAnonKey,
    LegacyServiceRoleKey,
    NoOrganization,
    Member,
    MemberHs256,
    MemberWhoseTokenSaysOwner,
    AdminByMembership,
    AdminByMembershipHs256,
    OwnerByMembership,
    AdminByUsersRole,
    OwnerByUsersRole,
    AdminElsewhere,
    AnonymousAdmin,
    ExpiredAdmin,
    ForgedAdmin,
    UnsignedAdmin,
    AdminOfAnotherAudience,
    AdminWithoutSubject,
    TamperedEs256,
    SignedWithThePublicKey,
}

use Principal as P;

/// The table: who, in words, and what each endpoint answers to the methods that it takes.
#[rustfmt::skip]
pub const TABLE: &[(Principal, &str, [u16; 25])] = &[
    //                                                                              health config reconc monito alerts resolv now    runs   run    drift  approv many   revert except unexc  polici ackno  unackn snooze unsno  note   notif  events metrics
    (P::Nobody, "nobody: no `Authorization` header",                                [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::EmptyHeader, "an empty header",                                             [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::EmptyToken, "`Bearer` without a token",                                     [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::OtherScheme, "a right secret under the scheme `Basic`",                     [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::TwoWords, "a right secret with a word behind it",                           [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::WrongSecret, "a wrong secret",                                              [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::ReconcileSecret, "`RECONCILE_SECRET`",                                      [200,   200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::ReconcileSecretPrevious, "`RECONCILE_SECRET_PREVIOUS`",                     [200,   200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::MonitorSecret, "`MONITOR_SECRET`",                                          [200,   200,   401,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::MonitorSecretPrevious, "`MONITOR_SECRET_PREVIOUS`",                         [200,   200,   401,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::CronSecret, "`CRON_SECRET`",                                                [200,   200,   200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::CronSecretPrevious, "`CRON_SECRET_PREVIOUS`",                               [200,   200,   200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::MetricsSecret, "`METRICS_SECRET`",                                          [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   200,   401]),
    (P::MetricsSecretPrevious, "`METRICS_SECRET_PREVIOUS`",                         [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   200,   401]),
    (P::PublishableKey, "Supabase's publishable key",                               [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::SecretKey, "Supabase's secret key",                                         [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::LegacyAnonKey, "the legacy `anon` key, a JWT",                              [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::LegacyServiceRoleKey, "the legacy `service_role` key, a JWT",               [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::NoOrganization, "a person who belongs to no organization",                  [200,   200,   401,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   400,   401,   403]),
    (P::Member, "a member (ES256 token)",                                           [200,   200,   401,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   400,   401,   403]),
    (P::MemberHs256, "a member (HS256 token)",                                      [200,   200,   401,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   400,   401,   403]),
    (P::MemberWhoseTokenSaysOwner, "a member whose token's metadata says `owner`",  [200,   200,   401,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   403,   400,   401,   403]),
    (P::AdminByMembership, "an admin by membership (ES256 token)",                  [200,   200,   401,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   400,   401,   200]),
    (P::AdminByMembershipHs256, "an admin by membership (HS256 token)",             [200,   200,   401,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   400,   401,   200]),
    (P::OwnerByMembership, "an owner by membership",                                [200,   200,   401,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   400,   401,   200]),
    (P::AdminByUsersRole, "an admin by `users.role`",                               [200,   200,   401,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   400,   401,   200]),
    (P::OwnerByUsersRole, "an owner by `users.role`",                               [200,   200,   401,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   400,   401,   200]),
    (P::AdminElsewhere, "a member here who is admin in another organization",       [200,   200,   401,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   200,   400,   401,   200]),
    (P::AnonymousAdmin, "an anonymous sign-in, even if the rows say admin",         [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::ExpiredAdmin, "an admin's token that has expired",                          [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::ForgedAdmin, "an admin's token signed with another secret",                 [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::UnsignedAdmin, "an admin's token of `alg: none`",                           [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::AdminOfAnotherAudience, "an admin's token for another audience",            [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::AdminWithoutSubject, "a well signed token that names no person",            [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::TamperedEs256, "a member's ES256 token with the admin's claims put in",     [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
    (P::SignedWithThePublicKey, "an HS256 token signed with the public ES256 key",  [200,   200,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   401,   400,   401,   401]),
];

/// What an endpoint answers: to OPTIONS 204, to methods that it does not take 405, whoever asks.
#[must_use]
pub fn expected(row: &[u16; 25], column: usize, method: &str) -> u16 {
    match method {
        "OPTIONS" => 204,
        method if ENDPOINTS[column].methods.contains(&method) => match row[column] {
            200 => ENDPOINTS[column].admitted(method),
            refused => refused,
        },
        _ => 405,
    }
}

/// The table as Markdown, with a second one for the methods.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from("| who |");
    for endpoint in &ENDPOINTS {
        text.push_str(&format!(" {} |", endpoint.name));
    }
    text.push_str(&format!("\n| --- |{}\n", " --- |".repeat(ENDPOINTS.len())));
    for (_, who, row) in TABLE {
        text.push_str(&format!("| {who} |"));
        for status in row {
            text.push_str(&format!(" {status} |"));
        }
        text.push('\n');
    }
    text.push_str(&format!(
        "\n| endpoint | path |{}\n",
        METHODS.map(|method| format!(" {method} |")).concat()
    ));
    text.push_str(&format!("| --- | --- |{}\n", " --- |".repeat(METHODS.len())));
    for (column, endpoint) in ENDPOINTS.iter().enumerate() {
        text.push_str(&format!(
            "| {} | `{}` |",
            endpoint.name,
            endpoint.path.replace("{alert}", "{id}").replace("{run}", "{id}").replace("{nothing}", "{id}")
        ));
        for method in METHODS {
            match expected(&[0; 25], column, method) {
                0 => text.push_str(" as above |"),
                status => text.push_str(&format!(" {status} |")),
            }
        }
        text.push('\n');
    }
    text
}
