//! Everyone of the matrix, with what they send as `Authorization`.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use support::matrix::Principal;
use support::{Request, Setup, Stack};

pub(crate) const RECONCILE_PREVIOUS: &str = "the-reconcile-secret-before-this-one";
pub(crate) const MONITOR_PREVIOUS: &str = "the-monitor-secret-before-this-one-1";
pub(crate) const CRON_PREVIOUS: &str = "the-cron-secret-before-this-one-1234";
pub(crate) const METRICS_PREVIOUS: &str = "the-metrics-secret-before-this-one-12";

/// A stack whose machine secrets have their `_PREVIOUS` twins.
pub(crate) fn with_previous_secrets() -> Setup {
    Stack::setup()
        .setting("RECONCILE_SECRET_PREVIOUS", RECONCILE_PREVIOUS)
        .setting("MONITOR_SECRET_PREVIOUS", MONITOR_PREVIOUS)
        .setting("CRON_SECRET_PREVIOUS", CRON_PREVIOUS)
        .setting("METRICS_SECRET_PREVIOUS", METRICS_PREVIOUS)
}

/// Signs claims as a project with a shared secret does, or with whatever secret is given.
pub(crate) fn hs256(secret: &[u8], claims: &Value) -> String {
    let message = format!(
        "{}.{}",
        BASE64.encode(json!({"alg": "HS256", "typ": "JWT"}).to_string()),
        BASE64.encode(claims.to_string())
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    format!("{message}.{}", BASE64.encode(ring::hmac::sign(&key, message.as_bytes())))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The people of a stack.
pub(crate) struct People {
    jwt_secret: Vec<u8>,
    issuer: String,
    public_key: String,
    pub(crate) admin: Uuid,
    pub(crate) member: Uuid,
    no_organization: Uuid,
    owner_by_membership: Uuid,
    admin_by_role: Uuid,
    owner_by_role: Uuid,
    admin_elsewhere: Uuid,
}

impl People {
    /// Adds to the stack's admin and member everyone else whom the matrix needs.
    pub(crate) async fn settle(stack: &Stack) -> Self {
        let database = stack.database().await;
        let mut organizations = Vec::new();
        for name in ["Here", "There"] {
            let row = database
                .query_one("insert into public.organizations (name) values ($1) returning id", &[&name])
                .await
                .expect("an organization");
            organizations.push(row.get::<_, Uuid>(0));
        }
        let (here, there) = (organizations[0], organizations[1]);
        let person = async |role: &str, memberships: &[(Uuid, &str)]| {
            let id = Uuid::new_v4();
            let email = format!("{id}@example.test");
            let sql = "insert into public.users (id, email, organization_id, role) values ($1, $2, $3, $4)";
            database.execute(sql, &[&id, &email, &here, &role]).await.expect("a user");
            for (organization, role) in memberships {
                let sql = "insert into public.organization_members (organization_id, user_id, role) values ($1, $2, $3)";
                database.execute(sql, &[organization, &id, role]).await.expect("a membership");
            }
            id
        };
        let known = async |role: &str| {
            let sql =
                "select user_id from public.organization_members where role = $1 order by created_at limit 1";
            database.query_one(sql, &[&role]).await.expect("the stack has one").get::<_, Uuid>(0)
        };
        let (admin, member) = (known("admin").await, known("member").await);
        let keys = stack
            .http
            .get(format!("{}/auth/v1/.well-known/jwks.json", stack.at.supabase_url))
            .send()
            .await
            .expect("the public keys");
        Self {
            jwt_secret: stack.at.jwt_secret.clone().into_bytes(),
            issuer: format!("{}/auth/v1", stack.at.supabase_url),
            public_key: keys.text().await.expect("text"),
            admin,
            member,
            no_organization: Uuid::new_v4(),
            owner_by_membership: person("member", &[(here, "owner")]).await,
            admin_by_role: person("admin", &[]).await,
            owner_by_role: person("owner", &[(here, "member")]).await,
            admin_elsewhere: person("member", &[(here, "member"), (there, "admin")]).await,
        }
    }

    /// The claims of a person's access token, as Supabase Auth writes them, with some of them changed.
    pub(crate) fn claims(&self, person: Uuid, changes: Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer, "sub": person, "aud": "authenticated", "role": "authenticated",
            "iat": now() - 60, "exp": now() + 3600, "email": "person@example.test", "is_anonymous": false,
            "app_metadata": {}, "user_metadata": {},
        });
        let (Value::Object(changes), Some(claims)) = (changes, claims.as_object_mut()) else {
            panic!("changes are an object")
        };
        for (name, value) in changes {
            match value {
                Value::Null => drop(claims.remove(&name)),
                value => drop(claims.insert(name, value)),
            }
        }
        Value::Object(claims.clone())
    }

    /// A person's HS256 token.
    pub(crate) fn token(&self, person: Uuid, changes: Value) -> String {
        hs256(&self.jwt_secret, &self.claims(person, changes))
    }

    /// What someone sends as `Authorization`; `None`: no such header.
    pub(crate) fn authorization(&self, stack: &Stack, who: Principal) -> Option<String> {
        use Principal as P;
        let at = &stack.at;
        let good = |person| self.token(person, json!({}));
        let token = match who {
            P::Nobody => return None,
            P::EmptyHeader => return Some(String::new()),
            P::EmptyToken => return Some("Bearer ".into()),
            P::OtherScheme => return Some(format!("Basic {}", at.cron_secret)),
            P::TwoWords => format!("{} x", at.cron_secret),
            P::WrongSecret => "x".repeat(at.reconcile_secret.len()),
            P::ReconcileSecret => at.reconcile_secret.clone(),
            P::ReconcileSecretPrevious => RECONCILE_PREVIOUS.into(),
            P::MonitorSecret => at.monitor_secret.clone(),
            P::MonitorSecretPrevious => MONITOR_PREVIOUS.into(),
            P::CronSecret => at.cron_secret.clone(),
            P::CronSecretPrevious => CRON_PREVIOUS.into(),
            P::MetricsSecret => at.metrics_secret.clone(),
            P::MetricsSecretPrevious => METRICS_PREVIOUS.into(),
            P::PublishableKey => at.publishable_key.clone(),
            P::SecretKey => at.secret_key.clone(),
            P::LegacyAnonKey | P::LegacyServiceRoleKey => {
                let role = if who == P::LegacyAnonKey { "anon" } else { "service_role" };
                let claims = json!({"iss": "supabase", "role": role, "iat": now() - 60, "exp": now() + 3600});
                hs256(&self.jwt_secret, &claims)
            }
            P::NoOrganization => good(self.no_organization),
            P::Member => at.member_token.clone(),
            P::MemberHs256 => good(self.member),
            P::MemberWhoseTokenSaysOwner => {
                let says = json!({"role": "owner", "roles": ["owner", "admin"]});
                self.token(
                    self.member,
                    json!({"app_metadata": says, "user_metadata": says, "user_role": "owner"}),
                )
            }
            P::AdminByMembership => at.admin_token.clone(),
            P::AdminByMembershipHs256 => good(self.admin),
            P::OwnerByMembership => good(self.owner_by_membership),
            P::AdminByUsersRole => good(self.admin_by_role),
            P::OwnerByUsersRole => good(self.owner_by_role),
            P::AdminElsewhere => good(self.admin_elsewhere),
            P::AnonymousAdmin => self.token(self.admin, json!({"is_anonymous": true})),
            P::ExpiredAdmin => self.token(self.admin, json!({"iat": now() - 7200, "exp": now() - 3600})),
            P::ForgedAdmin => {
                hs256(b"another-secret-of-another-project", &self.claims(self.admin, json!({})))
            }
            P::UnsignedAdmin => {
                let claims = self.claims(self.admin, json!({})).to_string();
                let header = json!({"alg": "none", "typ": "JWT"}).to_string();
                // With a signature in place of the empty one, so that it is not refused for its shape alone.
                format!("{}.{}.{}", BASE64.encode(header), BASE64.encode(claims), BASE64.encode("none"))
            }
            P::AdminOfAnotherAudience => self.token(self.admin, json!({"aud": "another-project"})),
            P::AdminWithoutSubject => self.token(self.admin, json!({"sub": null})),
            P::TamperedEs256 => {
                let mut parts: Vec<&str> = at.member_token.split('.').collect();
                let admins = at.admin_token.split('.').nth(1).expect("a payload");
                parts[1] = admins;
                parts.join(".")
            }
            P::SignedWithThePublicKey => {
                hs256(self.public_key.as_bytes(), &self.claims(self.admin, json!({})))
            }
        };
        Some(format!("Bearer {token}"))
    }

    /// A call in someone's name.
    pub(crate) fn call(&self, stack: &Stack, who: Principal, method: Method, path: &str) -> Request {
        let request = stack.request(method, path);
        match self.authorization(stack, who) {
            Some(value) => request.header("authorization", &value),
            None => request,
        }
    }
}
