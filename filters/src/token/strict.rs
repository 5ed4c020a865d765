//! JSON objects as tokens and key sets carry them: unique names, bounded depth, nothing after the end.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Deepest nesting of claims, headers and key sets. Real ones need five.
const MAX_DEPTH: u8 = 32;

/// Reads one JSON object. A repeated name is refused anywhere in it (RFC 7515 §4, RFC 7519 §4: readers differ in which
/// one wins, attack 48), as is nesting beyond 32, invalid UTF-8 and text after the end.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let map = reader.deserialize_map(Object { depth: 0 })?;
    reader.end()?;
    Ok(map)
}

struct Object {
    depth: u8,
}

impl<'de> Visitor<'de> for Object {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Self::Value, A::Error> {
        members(self.depth, access)
    }
}

fn members<'de, A: MapAccess<'de>>(depth: u8, mut access: A) -> Result<Map<String, Value>, A::Error> {
    let mut map = Map::new();
    while let Some(name) = access.next_key::<String>()? {
        // The name itself stays out of the message: it is the caller's text.
        if map.contains_key(&name) {
            return Err(A::Error::custom("a name occurs twice"));
        }
        let value = access.next_value_seed(Any { depth: deeper(depth)? })?;
        map.insert(name, value);
    }
    Ok(map)
}

fn deeper<E: Error>(depth: u8) -> Result<u8, E> {
    if depth >= MAX_DEPTH { Err(E::custom("nested too deeply")) } else { Ok(depth + 1) }
}

struct Any {
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        let depth = deeper(self.depth)?;
        while let Some(item) = access.next_element_seed(Any { depth })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        members(self.depth, access).map(Value::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_an_object_with_unique_names() {
        let deep = |n: usize| format!("{{\"a\":{}1{}}}", "[".repeat(n), "]".repeat(n));
        for (case, text, want) in [
            ("plain", r#"{"a":1,"b":[null,true,-2,1.5,"x"],"c":{"a":1}}"#.to_owned(), true),
            ("twice", r#"{"a":1,"a":1}"#.to_owned(), false),
            ("twice by escape (attack 48)", r#"{"a":1,"\u0061":2}"#.to_owned(), false),
            ("twice below", r#"{"a":[{"b":1,"b":2}]}"#.to_owned(), false),
            ("other case is another name", r#"{"exp":1,"Exp":2}"#.to_owned(), true),
            ("not an object", "[1]".to_owned(), false),
            ("text after the end", "{} {}".to_owned(), false),
            ("byte order mark", "\u{feff}{}".to_owned(), false),
            ("lone surrogate", r#"{"a":"\ud800"}"#.to_owned(), false),
            ("number out of range", r#"{"a":1e999}"#.to_owned(), false),
            ("as deep as allowed", deep(31), true),
            ("too deep (attack 44)", deep(33), false),
            ("far too deep", deep(10_000), false),
        ] {
            assert_eq!(object(text.as_bytes()).is_ok(), want, "{case}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err(), "invalid UTF-8");
    }
}
