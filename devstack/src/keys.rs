//! The keys and secrets of one stack, and the tokens they sign. All are made at start: nothing to leak, nothing to set.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rand::Rng;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// Which of a project's two kinds of key signs a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The shared secret of older projects, `jwt_secret`.
    Hs256,
    /// The key pair of newer projects, published at `/auth/v1/.well-known/jwks.json`.
    Es256,
}

/// A project's keys. `Debug` shows none of them.
#[derive(Clone)]
pub struct Keys {
    /// Signs HS256 tokens: 64 hexadecimal digits.
    pub jwt_secret: String,
    /// `sb_publishable_…`: what a browser may know.
    pub publishable_key: String,
    /// `sb_secret_…`: acts as `service_role`.
    pub secret_key: String,
    /// The older form of the publishable key: a token of the role `anon`.
    pub anon_token: String,
    /// The older form of the secret key: a token of the role `service_role`.
    pub service_role_token: String,
    es256: Vec<u8>,
    es256_id: String,
    es256_public: Value,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// New keys from the system's random numbers.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn generate() -> Result<Keys> {
        let random = ring::rand::SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| anyhow!("cannot make an ES256 key"))?;
        let parsed = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.as_ref(), &random)
            .map_err(|error| anyhow!("cannot read back the ES256 key: {error}"))?;
        // An uncompressed point: a marker byte, then x and y of 32 bytes each.
        let point = parsed.public_key().as_ref();
        let (x, y) = point
            .get(1..33)
            .zip(point.get(33..65))
            .context("the ES256 key's public half is not an uncompressed point")?;
        let es256_id = uuid::Uuid::new_v4().to_string();
        let mut keys = Keys {
            jwt_secret: random_hex(32),
            publishable_key: format!("sb_publishable_{}_{}", random_text(22), random_text(8)),
            secret_key: format!("sb_secret_{}_{}", random_text(22), random_text(8)),
            anon_token: String::new(),
            service_role_token: String::new(),
            es256: pair.as_ref().to_vec(),
            es256_public: json!({
                "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "key_ops": ["verify"], "ext": true,
                "kid": es256_id, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            }),
            es256_id,
        };
        let now = now();
        let key = |role: &str| json!({"iss": "supabase", "ref": "local", "role": role, "iat": now, "exp": now + YEAR});
        keys.anon_token = keys.sign(Signer::Hs256, &key("anon"))?;
        keys.service_role_token = keys.sign(Signer::Hs256, &key("service_role"))?;
        Ok(keys)
    }

    /// Signs any claims, valid or not: tests forge what they like.
    ///
    /// # Errors
    /// When the claims cannot be signed, which JSON objects always can.
    pub fn sign(&self, signer: Signer, claims: &Value) -> Result<String> {
        let (mut header, key) = match signer {
            Signer::Hs256 => {
                (Header::new(Algorithm::HS256), EncodingKey::from_secret(self.jwt_secret.as_bytes()))
            }
            Signer::Es256 => (Header::new(Algorithm::ES256), EncodingKey::from_ec_der(&self.es256)),
        };
        if signer == Signer::Es256 {
            header.kid = Some(self.es256_id.clone());
        }
        jsonwebtoken::encode(&header, claims, &key).context("cannot sign a token")
    }

    /// The public half, as Supabase publishes it: shared secrets are not in it.
    pub fn public_jwks(&self) -> Value {
        json!({"keys": [self.es256_public]})
    }

    /// Both keys, for the verifier.
    pub fn verification_jwks(&self) -> Value {
        let secret = json!({"kty": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(&self.jwt_secret)});
        json!({"keys": [self.es256_public, secret]})
    }
}

const YEAR: u64 = 365 * 24 * 60 * 60;

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

/// `bytes` random bytes in hexadecimal digits.
pub fn random_hex(bytes: usize) -> String {
    let mut random = rand::rng();
    (0..bytes).map(|_| format!("{:02x}", random.random::<u8>())).collect()
}

/// `length` random letters and digits.
pub fn random_text(length: usize) -> String {
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(length).map(char::from).collect()
}
