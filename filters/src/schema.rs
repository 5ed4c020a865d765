//! Judges a JSON value by a schema, in bounded time.
//!
//! Every step has a price, and a value that costs more than its size allows does not pass: some schemas that refer to themselves
//! would ask the same question over and over. Patterns run in linear time, and `uniqueItems` sorts.

mod format;
mod literal;
mod number;

use std::sync::Arc;

use postern_config::{Api, ListRules, ObjectRules, Schema, SchemaId, TextRules, Types};
use regex::Regex;

use crate::json::{Document, Kind, Value};

/// What every value may cost, besides what its size allows.
const BASE_COST: u64 = 100_000;
/// What each value in a document allows.
const COST_OF_NODE: u64 = 16;
/// Bytes of text that cost as much as one step.
const BYTES_OF_STEP: u64 = 32;
/// Schemas and values within each other.
const MAX_DEPTH: usize = 512;

/// The schemas of one document, ready to judge.
#[derive(Debug)]
pub struct Schemas {
    api: Arc<Api>,
    patterns: Vec<Regex>,
}

/// Why a value does not pass. Says nothing of the value: names in it come from the document alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// JSON pointer into the value, with `*` for a name that the document does not have, and the keyword that does not hold.
    #[error("`{keyword}` does not hold at `{place}`")]
    Keyword { place: String, keyword: &'static str },
    #[error("judging it costs more than its size allows")]
    Costly,
}

impl Schemas {
    /// # Errors
    /// A pattern that does not compile, which the load has ruled out.
    pub fn new(api: &Arc<Api>) -> Result<Self, regex::Error> {
        let patterns = api.patterns.iter().map(|pattern| Regex::new(pattern)).collect::<Result<_, _>>()?;
        Ok(Self { api: Arc::clone(api), patterns })
    }

    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Judges the whole document.
    ///
    /// # Errors
    /// [`Unfit`], with the first keyword that does not hold.
    pub fn judge(&self, id: SchemaId, document: &Document) -> Result<(), Unfit> {
        let nodes = u64::try_from(document.node_count()).unwrap_or(u64::MAX);
        let left = BASE_COST.saturating_add(nodes.saturating_mul(COST_OF_NODE));
        let mut judge = Judge { schemas: self, left, depth: 0, quiet: 0, path: Vec::new(), failure: None };
        match judge.fits(id, document.root()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(judge.failure.unwrap_or(Unfit::Keyword { place: String::new(), keyword: "schema" })),
            Err(Costly) => Err(Unfit::Costly),
        }
    }
}

/// The price is not paid any more.
#[derive(Debug)]
struct Costly;

type Fits = Result<bool, Costly>;

/// One step of a pointer.
#[derive(Debug, Clone, Copy)]
enum Step<'s> {
    Name(&'s str),
    Item(usize),
    /// A member whose name only the value has.
    Other,
}

struct Judge<'s> {
    schemas: &'s Schemas,
    left: u64,
    depth: usize,
    /// Schemas around this one that may well not hold: what they say is not why the value does not pass.
    quiet: usize,
    path: Vec<Step<'s>>,
    failure: Option<Unfit>,
}

impl<'s> Judge<'s> {
    fn pay(&mut self, cost: u64) -> Result<(), Costly> {
        self.left = self.left.checked_sub(cost).ok_or(Costly)?;
        Ok(())
    }

    fn pay_for(&mut self, bytes: usize) -> Result<(), Costly> {
        self.pay(u64::try_from(bytes).unwrap_or(u64::MAX) / BYTES_OF_STEP)
    }

    fn fail(&mut self, keyword: &'static str) -> Fits {
        if self.quiet == 0 && self.failure.is_none() {
            let mut place = String::new();
            for step in &self.path {
                place.push('/');
                match step {
                    Step::Name(name) => place.push_str(&name.replace('~', "~0").replace('/', "~1")),
                    Step::Item(index) => place.push_str(&index.to_string()),
                    Step::Other => place.push('*'),
                }
            }
            self.failure = Some(Unfit::Keyword { place, keyword });
        }
        Ok(false)
    }

    fn holds(&mut self, keyword: &'static str, holds: bool) -> Fits {
        if holds { Ok(true) } else { self.fail(keyword) }
    }

    fn below(&mut self, step: Step<'s>, id: SchemaId, value: Value<'_>) -> Fits {
        self.path.push(step);
        let fits = self.fits(id, value);
        self.path.pop();
        fits
    }

    /// Whether it would hold, without saying why not.
    fn quietly(&mut self, id: SchemaId, value: Value<'_>) -> Fits {
        self.quiet += 1;
        let fits = self.fits(id, value);
        self.quiet -= 1;
        fits
    }

    fn fits(&mut self, id: SchemaId, value: Value<'_>) -> Fits {
        self.pay(1)?;
        if self.depth >= MAX_DEPTH {
            return Err(Costly);
        }
        self.depth += 1;
        let fits = match self.schemas.api.schemas.get(id.0) {
            Some(schema) => self.schema(schema, value),
            None => self.fail("$ref"),
        };
        self.depth -= 1;
        fits
    }

    fn schema(&mut self, schema: &'s Schema, value: Value<'_>) -> Fits {
        if schema.never {
            return self.fail("readOnly or false");
        }
        if schema.types.is_some_and(|types| !types.has(number::type_of(value, schema.format))) {
            return self.fail("type");
        }
        if !schema.one_of_values.is_empty() {
            self.pay_for(value.span().len().saturating_mul(schema.one_of_values.iter().map(Vec::len).sum()))?;
            let among = |list: &Vec<_>| list.iter().any(|literal| literal::is(literal, value));
            if !schema.one_of_values.iter().all(among) {
                return self.fail("enum");
            }
        }
        if let Some(keyword) = number::broken(schema, value) {
            return self.fail(keyword);
        }
        if value.kind() == Kind::String && !self.text(schema, value)? {
            return Ok(false);
        }
        if let Some(rules) = schema.list.as_deref().filter(|_| value.kind() == Kind::Array)
            && !self.list(rules, value)?
        {
            return Ok(false);
        }
        if let Some(rules) = schema.object.as_deref().filter(|_| value.kind() == Kind::Object)
            && !self.object(rules, value)?
        {
            return Ok(false);
        }
        self.others(schema, value)
    }

    fn text(&mut self, schema: &'s Schema, value: Value<'_>) -> Fits {
        if schema.text.is_none() && schema.format.is_none() {
            return Ok(true);
        }
        self.pay_for(value.span().len())?;
        let text = value.text().unwrap_or_default();
        if schema.format.is_some_and(|format| !format::holds(format, &text)) {
            return self.fail("format");
        }
        let Some(TextRules { min, max, pattern }) = schema.text.as_deref() else { return Ok(true) };
        let length = if *min > 0 || max.is_some() { text.chars().count() } else { 0 };
        if length < *min {
            return self.fail("minLength");
        }
        if max.is_some_and(|max| length > max) {
            return self.fail("maxLength");
        }
        let Some(pattern) = *pattern else { return Ok(true) };
        let matches = self.matches(pattern, &text)?;
        self.holds("pattern", matches)
    }

    fn matches(&mut self, pattern: usize, text: &str) -> Fits {
        self.pay_for(text.len())?;
        Ok(self.schemas.patterns.get(pattern).is_some_and(|pattern| pattern.is_match(text)))
    }

    fn list(&mut self, rules: &'s ListRules, value: Value<'_>) -> Fits {
        if value.len() < rules.min {
            return self.fail("minItems");
        }
        if rules.max.is_some_and(|max| value.len() > max) {
            return self.fail("maxItems");
        }
        if rules.unique && value.len() > 1 {
            self.pay_for(value.span().len())?;
            if !literal::are_unique(value) {
                return self.fail("uniqueItems");
            }
        }
        for (index, item) in value.items().enumerate() {
            let schema = rules.first.get(index).copied().or(rules.items);
            if let Some(schema) = schema
                && !self.below(Step::Item(index), schema, item)?
            {
                return Ok(false);
            }
        }
        let Some((schema, least, most)) = rules.contains else { return Ok(true) };
        let mut count = 0;
        for item in value.items() {
            count += usize::from(self.quietly(schema, item)?);
        }
        self.holds("contains", count >= least && most.is_none_or(|most| count <= most))
    }

    fn object(&mut self, rules: &'s ObjectRules, value: Value<'_>) -> Fits {
        if value.len() < rules.min {
            return self.fail("minProperties");
        }
        if rules.max.is_some_and(|max| value.len() > max) {
            return self.fail("maxProperties");
        }
        let mut required = 0;
        for (key, member) in value.entries() {
            self.pay(1)?;
            let name = key.text().unwrap_or_default();
            required += usize::from(rules.required.binary_search_by(|known| known.as_str().cmp(&name)).is_ok());
            if !self.member(rules, &name, key, member)? {
                return Ok(false);
            }
        }
        // The reader lets no name occur twice, so they can be counted.
        if required < rules.required.len() {
            return self.fail("required");
        }
        for (name, others) in &rules.dependent_required {
            self.pay(u64::try_from(value.len().saturating_mul(others.len() + 1)).unwrap_or(u64::MAX))?;
            if value.get(name).is_some() && !others.iter().all(|other| value.get(other).is_some()) {
                return self.fail("dependentRequired");
            }
        }
        for (name, schema) in &rules.dependent_schemas {
            self.pay(u64::try_from(value.len()).unwrap_or(u64::MAX))?;
            if value.get(name).is_some() && !self.fits(*schema, value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn member(&mut self, rules: &'s ObjectRules, name: &str, key: Value<'_>, member: Value<'_>) -> Fits {
        if let Some(schema) = rules.names
            && !self.below(Step::Other, schema, key)?
        {
            return Ok(false);
        }
        let own = rules.properties.get_key_value(name);
        let step = own.map_or(Step::Other, |(name, _)| Step::Name(name));
        if let Some((_, schema)) = own
            && !self.below(step, *schema, member)?
        {
            return Ok(false);
        }
        let mut named = own.is_some();
        for (pattern, schema) in &rules.by_pattern {
            if self.matches(*pattern, name)? {
                named = true;
                if !self.below(step, *schema, member)? {
                    return Ok(false);
                }
            }
        }
        match rules.additional.filter(|_| !named) {
            Some(schema) if self.schemas.api.schemas.get(schema.0).is_some_and(|schema| schema.never) => {
                self.fail("additionalProperties")
            }
            Some(schema) => self.below(step, schema, member),
            None => Ok(true),
        }
    }

    fn others(&mut self, schema: &'s Schema, value: Value<'_>) -> Fits {
        for id in &schema.all {
            if !self.fits(*id, value)? {
                return Ok(false);
            }
        }
        if let Some(any) = &schema.any {
            let mut found = false;
            for id in any {
                found = found || self.quietly(*id, value)?;
            }
            if !found {
                return self.fail("anyOf");
            }
        }
        if let Some(one) = &schema.one {
            let mut found = 0;
            for id in one {
                found += usize::from(found < 2 && self.quietly(*id, value)?);
            }
            if found != 1 {
                return self.fail("oneOf");
            }
        }
        if let Some(not) = schema.not
            && self.quietly(not, value)?
        {
            return self.fail("not");
        }
        if let Some((condition, yes, no)) = schema.branch {
            let then = if self.quietly(condition, value)? { yes } else { no };
            if let Some(then) = then {
                return self.fits(then, value);
            }
        }
        Ok(true)
    }
}

/// The JSON type a schema sees in a value.
pub(crate) fn plain_type(value: Value<'_>) -> Types {
    match value.kind() {
        Kind::Null => Types::NULL,
        Kind::Bool => Types::BOOLEAN,
        Kind::Number => Types::NUMBER,
        Kind::String => Types::STRING,
        Kind::Array => Types::ARRAY,
        Kind::Object => Types::OBJECT,
    }
}

#[cfg(test)]
mod tests;
