//! Private keys: read from a file, shown as ssh's public key, signed with.
//!
//! | PEM label | format |
//! |---|---|
//! | `OPENSSH PRIVATE KEY` | OpenSSH's PROTOCOL.key: RSA, ECDSA, Ed25519 |
//! | `RSA PRIVATE KEY` | PKCS#1 (RFC 8017, A.1.2) |
//! | `EC PRIVATE KEY` | SEC 1 (RFC 5915) |
//! | `PRIVATE KEY` | PKCS#8 (RFC 5208): one of the two above, or Ed25519 (RFC 8410) |
//!
//! Public keys and signatures are those of RFC 4253 (RSA), RFC 8332 (RSA with SHA-2), RFC 5656 (ECDSA) and RFC 8709
//! (Ed25519). RSA keys have 2048 to 4096 bits. There are no signatures with SHA-1: OpenSSH asks for none since 8.8.

use super::bytes::{self, put_integer, put_string};
use super::{der, pem};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};
use std::fmt;

/// The flag of a sign request that asks for `rsa-sha2-256`.
const RSA_SHA2_256: u32 = 2;
/// The flag of a sign request that asks for `rsa-sha2-512`.
const RSA_SHA2_512: u32 = 4;

/// A key that signs.
pub(crate) struct PrivateKey {
    kind: Kind,
    public: Vec<u8>,
}

enum Kind {
    Ed25519(Ed25519KeyPair),
    Ecdsa(&'static Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A curve of ECDSA.
#[derive(Debug)]
struct Curve {
    name: &'static str,
    key_type: &'static str,
    /// Its object identifier, as DER writes it.
    object: &'static [u8],
    /// The length of a private key in bytes.
    length: usize,
    algorithm: &'static EcdsaSigningAlgorithm,
}

static CURVES: [Curve; 2] = [
    Curve {
        name: "nistp256",
        key_type: "ecdsa-sha2-nistp256",
        object: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        length: 32,
        algorithm: &ECDSA_P256_SHA256_FIXED_SIGNING,
    },
    Curve {
        name: "nistp384",
        key_type: "ecdsa-sha2-nistp384",
        object: &[0x2b, 0x81, 0x04, 0x00, 0x22],
        length: 48,
        algorithm: &ECDSA_P384_SHA384_FIXED_SIGNING,
    },
];

/// `rsaEncryption`.
const RSA_OBJECT: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `id-ecPublicKey`.
const EC_OBJECT: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `id-Ed25519`.
const ED25519_OBJECT: &[u8] = &[0x2b, 0x65, 0x70];

/// Why a file is no key that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    Passphrase,
    Wrong(&'static str),
}

const DAMAGED: Problem = Problem::Wrong("it is damaged");
const RSA_SIZE: Problem = Problem::Wrong("its RSA key is damaged, or has not 2048 to 4096 bits");

/// The key itself reaches no log.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl PrivateKey {
    /// Reads a key file.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Problem> {
        let block = pem::first(text).ok_or(Problem::Wrong("it holds no PEM block"))?;
        if block.encrypted || block.label == "ENCRYPTED PRIVATE KEY" {
            return Err(Problem::Passphrase);
        }
        match block.label.as_str() {
            "OPENSSH PRIVATE KEY" => openssh(&block.bytes),
            "RSA PRIVATE KEY" => rsa(RsaKeyPair::from_der(&block.bytes)),
            "EC PRIVATE KEY" => sec1(&block.bytes, None),
            "PRIVATE KEY" => pkcs8(&block.bytes),
            _ => Err(Problem::Wrong("its PEM label is that of no private key")),
        }
    }

    /// The public key, as ssh writes it.
    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    /// A signature, as ssh writes it; nothing where what the flags ask for cannot be had.
    pub(crate) fn sign(&self, data: &[u8], flags: u32) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let (format, blob) = match &self.kind {
            Kind::Ed25519(key) => ("ssh-ed25519", key.sign(data).as_ref().to_vec()),
            Kind::Ecdsa(curve, key) => {
                let fixed = key.sign(&random, data).ok()?;
                let (r, s) = fixed.as_ref().split_at(curve.length);
                let mut blob = Vec::new();
                put_integer(&mut blob, r);
                put_integer(&mut blob, s);
                (curve.key_type, blob)
            }
            Kind::Rsa(key) => {
                let mut blob = vec![0; key.public().modulus_len()];
                let format = if flags & RSA_SHA2_512 != 0 {
                    key.sign(&RSA_PKCS1_SHA512, &random, data, &mut blob).ok()?;
                    "rsa-sha2-512"
                } else if flags & RSA_SHA2_256 != 0 {
                    key.sign(&RSA_PKCS1_SHA256, &random, data, &mut blob).ok()?;
                    "rsa-sha2-256"
                } else {
                    return None;
                };
                (format, blob)
            }
        };
        let mut signature = Vec::new();
        put_string(&mut signature, format.as_bytes());
        put_string(&mut signature, &blob);
        Some(signature)
    }
}

fn ed25519(pair: Ed25519KeyPair) -> PrivateKey {
    let mut public = Vec::new();
    put_string(&mut public, b"ssh-ed25519");
    put_string(&mut public, pair.public_key().as_ref());
    PrivateKey { kind: Kind::Ed25519(pair), public }
}

fn ecdsa(curve: &'static Curve, private: &[u8], point: &[u8]) -> Result<PrivateKey, Problem> {
    let private = bytes::trimmed(private);
    if private.len() > curve.length {
        return Err(DAMAGED);
    }
    let mut fixed = vec![0; curve.length - private.len()];
    fixed.extend(private);
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(curve.algorithm, &fixed, point, &SystemRandom::new())
            .map_err(|_| DAMAGED)?;
    let mut public = Vec::new();
    put_string(&mut public, curve.key_type.as_bytes());
    put_string(&mut public, curve.name.as_bytes());
    put_string(&mut public, point);
    Ok(PrivateKey { kind: Kind::Ecdsa(curve, pair), public })
}

fn rsa(pair: Result<RsaKeyPair, ring::error::KeyRejected>) -> Result<PrivateKey, Problem> {
    let pair = pair.map_err(|_| RSA_SIZE)?;
    let components = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
    let mut public = Vec::new();
    put_string(&mut public, b"ssh-rsa");
    put_integer(&mut public, &components.e);
    put_integer(&mut public, &components.n);
    Ok(PrivateKey { kind: Kind::Rsa(pair), public })
}

/// OpenSSH's own format.
fn openssh(bytes: &[u8]) -> Result<PrivateKey, Problem> {
    let rest = bytes.strip_prefix(b"openssh-key-v1\0").ok_or(DAMAGED)?;
    let mut outer = bytes::Reader(rest);
    let cipher = outer.string().ok_or(DAMAGED)?;
    let (_kdf, _options) = (outer.string().ok_or(DAMAGED)?, outer.string().ok_or(DAMAGED)?);
    if cipher != b"none" {
        return Err(Problem::Passphrase);
    }
    if outer.number().ok_or(DAMAGED)? != 1 {
        return Err(Problem::Wrong("it holds several keys"));
    }
    let _public = outer.string().ok_or(DAMAGED)?;
    let mut inner = bytes::Reader(outer.string().ok_or(DAMAGED)?);
    if inner.number().ok_or(DAMAGED)? != inner.number().ok_or(DAMAGED)? {
        return Err(DAMAGED);
    }
    match inner.string().ok_or(DAMAGED)? {
        b"ssh-ed25519" => openssh_ed25519(&mut inner),
        b"ssh-rsa" => openssh_rsa(&mut inner),
        kind if kind.starts_with(b"ecdsa-sha2-") => {
            let name = inner.string().ok_or(DAMAGED)?;
            let curve = CURVES.iter().find(|curve| curve.name.as_bytes() == name);
            let curve = curve.ok_or(Problem::Wrong("its curve is neither P-256 nor P-384"))?;
            let point = inner.string().ok_or(DAMAGED)?;
            ecdsa(curve, inner.integer().ok_or(DAMAGED)?, point)
        }
        _ => Err(Problem::Wrong("its kind is neither RSA, ECDSA nor Ed25519")),
    }
}

fn openssh_ed25519(inner: &mut bytes::Reader<'_>) -> Result<PrivateKey, Problem> {
    let public = inner.string().ok_or(DAMAGED)?;
    let (seed, _) = inner.string().ok_or(DAMAGED)?.split_at_checked(32).ok_or(DAMAGED)?;
    Ed25519KeyPair::from_seed_and_public_key(seed, public).map(ed25519).map_err(|_| DAMAGED)
}

fn openssh_rsa(inner: &mut bytes::Reader<'_>) -> Result<PrivateKey, Problem> {
    let mut next = || inner.integer().ok_or(DAMAGED);
    let (n, e, d, inverse, p, q) = (next()?, next()?, next()?, next()?, next()?, next()?);
    // Before the arithmetic below, whose cost grows with the square.
    if n.len() > 512 || d.len() > 512 || p.len() > 512 || q.len() > 512 {
        return Err(RSA_SIZE);
    }
    // OpenSSH leaves d mod (p-1) and d mod (q-1) out.
    let (p_exponent, q_exponent) =
        (remainder(d, &less_one(p)).ok_or(DAMAGED)?, remainder(d, &less_one(q)).ok_or(DAMAGED)?);
    rsa(RsaKeyPair::from_components(&ring::rsa::KeyPairComponents {
        public_key: ring::rsa::PublicKeyComponents { n, e },
        d,
        p,
        q,
        dP: bytes::trimmed(&p_exponent),
        dQ: bytes::trimmed(&q_exponent),
        qInv: inverse,
    }))
}

/// An odd number less one.
fn less_one(number: &[u8]) -> Vec<u8> {
    let mut number = number.to_vec();
    if let Some(last) = number.last_mut() {
        *last &= 0xfe;
    }
    number
}

/// `value` modulo `modulus`, both with the highest byte first; nothing where the modulus is zero. One bit after the
/// other: it runs once a key.
fn remainder(value: &[u8], modulus: &[u8]) -> Option<Vec<u8>> {
    let modulus = bytes::trimmed(modulus);
    if modulus.is_empty() {
        return None;
    }
    let length = modulus.len() + 1;
    let mut wide = vec![0];
    wide.extend(modulus);
    let mut rest = vec![0u8; length];
    for bit in (0..value.len() * 8).rev() {
        let mut carry = value[value.len() - 1 - bit / 8] >> (bit % 8) & 1;
        for byte in rest.iter_mut().rev() {
            let next = *byte >> 7;
            *byte = *byte << 1 | carry;
            carry = next;
        }
        if rest >= wide {
            let mut borrow = false;
            for (byte, other) in rest.iter_mut().zip(&wide).rev() {
                let (less, first) = byte.overflowing_sub(*other);
                let (less, second) = less.overflowing_sub(u8::from(borrow));
                (*byte, borrow) = (less, first || second);
            }
        }
    }
    Some(rest)
}

/// `SEQUENCE { 1, OCTET STRING private, [0] curve OPTIONAL, [1] BIT STRING point OPTIONAL }`.
fn sec1(bytes: &[u8], curve: Option<&'static Curve>) -> Result<PrivateKey, Problem> {
    let mut key = der::Reader(der::Reader(bytes).value(der::SEQUENCE).ok_or(DAMAGED)?);
    key.value(der::INTEGER).ok_or(DAMAGED)?;
    let private = key.value(der::OCTET_STRING).ok_or(DAMAGED)?;
    let named = key.optional(der::CONTEXT_0).and_then(|inner| der::Reader(inner).value(der::OBJECT));
    let curve = match (curve, named) {
        (Some(curve), _) => curve,
        (None, Some(object)) => curve_of(object)?,
        (None, None) => return Err(Problem::Wrong("it does not say its curve")),
    };
    let point = key.optional(der::CONTEXT_1).and_then(|inner| der::Reader(inner).value(der::BIT_STRING));
    let point = point.and_then(|bits| bits.strip_prefix(&[0]));
    ecdsa(curve, private, point.ok_or(Problem::Wrong("its public key is not in it"))?)
}

fn curve_of(object: &[u8]) -> Result<&'static Curve, Problem> {
    let curve = CURVES.iter().find(|curve| curve.object == object);
    curve.ok_or(Problem::Wrong("its curve is neither P-256 nor P-384"))
}

/// `SEQUENCE { version, SEQUENCE { algorithm, parameters }, OCTET STRING key, ... }`.
fn pkcs8(bytes: &[u8]) -> Result<PrivateKey, Problem> {
    let mut key = der::Reader(der::Reader(bytes).value(der::SEQUENCE).ok_or(DAMAGED)?);
    key.value(der::INTEGER).ok_or(DAMAGED)?;
    let mut algorithm = der::Reader(key.value(der::SEQUENCE).ok_or(DAMAGED)?);
    let object = algorithm.value(der::OBJECT).ok_or(DAMAGED)?;
    let inner = key.value(der::OCTET_STRING).ok_or(DAMAGED)?;
    match object {
        RSA_OBJECT => rsa(RsaKeyPair::from_der(inner)),
        EC_OBJECT => {
            let curve = algorithm.value(der::OBJECT).ok_or(Problem::Wrong("it does not say its curve"))?;
            sec1(inner, Some(curve_of(curve)?))
        }
        ED25519_OBJECT => Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes).map(ed25519).map_err(|_| DAMAGED),
        _ => Err(Problem::Wrong("its kind is neither RSA, ECDSA nor Ed25519")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u128) -> Vec<u8> {
        value.to_be_bytes().to_vec()
    }

    #[test]
    fn remainders() {
        for (value, modulus) in [(0, 7), (6, 7), (7, 7), (u128::MAX, 3), (u128::MAX, 1 << 100 | 5), (5, 1)] {
            let found = remainder(&number(value), &number(modulus)).unwrap();
            assert_eq!(
                bytes::trimmed(&found),
                bytes::trimmed(&number(value % modulus)),
                "{value} % {modulus}"
            );
        }
        assert!(remainder(&[1], &[0, 0]).is_none());
    }

    #[test]
    fn what_is_no_key() {
        let problem = |text: &str| PrivateKey::parse(text.as_bytes()).unwrap_err();
        assert_eq!(problem("ssh-ed25519 AAAA me"), Problem::Wrong("it holds no PEM block"));
        assert_eq!(
            problem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
            Problem::Wrong("its PEM label is that of no private key")
        );
        assert_eq!(
            problem("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"),
            DAMAGED
        );
        assert_eq!(
            problem(
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA\n-----END RSA PRIVATE KEY-----"
            ),
            Problem::Passphrase
        );
    }
}
