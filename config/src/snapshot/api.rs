//! What an OpenAPI document demands of requests: operations, and the schemas of their parameters and bodies.
//!
//! Everything in it is enforced. What a document says and this has no place for did not load.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Digest;
use crate::values::Decimal;

/// A document that requests of a route must match.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Name of the manifest: records name the guard `schema/NAME`.
    pub name: String,
    /// `APIAccessPolicy/default/orders`.
    pub owner: String,
    /// Where the document was read from.
    pub file: PathBuf,
    pub api: Arc<Api>,
}

/// A document, read.
#[derive(Debug)]
pub struct Api {
    /// SHA-256 of the file.
    pub digest: Digest,
    /// No two can match one request with equal right.
    pub operations: Vec<Operation>,
    /// Referred to by [`SchemaId`].
    pub schemas: Vec<Schema>,
    /// In the syntax of the regex crate; schemas refer to them by index.
    pub patterns: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Operation {
    /// Upper case.
    pub method: String,
    /// As written, below the path of the document's servers: `/v1/orders/{id}`.
    pub template: String,
    /// What stands between the slashes.
    pub path: Vec<Segment>,
    pub parameters: Vec<ApiParameter>,
    /// `None`: the request has no body.
    pub body: Option<ApiBody>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    Literal(String),
    /// Name of a path parameter.
    Parameter(String),
}

#[derive(Debug, Clone)]
pub struct ApiParameter {
    /// Of headers in lower case.
    pub name: String,
    pub place: ParameterPlace,
    pub required: bool,
    pub form: ParameterForm,
    pub schema: SchemaId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParameterPlace {
    Path,
    Query,
    Header,
    Cookie,
}

impl ParameterPlace {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// How text becomes the value that the schema judges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterForm {
    One(TextKind),
    /// `a=1&a=2`, in queries and forms.
    Repeated(TextKind),
    /// `1,2`.
    Commas(TextKind),
    /// `name[field]=1`, in queries. Other fields than these are refused.
    Fields(BTreeMap<String, TextKind>),
    /// JSON in the text.
    Json,
}

/// What text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    Text,
    Integer,
    Number,
    Boolean,
}

#[derive(Debug, Clone)]
pub struct ApiBody {
    pub required: bool,
    /// By media type in lower case.
    pub content: BTreeMap<String, ApiContent>,
}

#[derive(Debug, Clone)]
pub enum ApiContent {
    Json(SchemaId),
    /// `application/x-www-form-urlencoded`.
    Form {
        schema: SchemaId,
        fields: BTreeMap<String, ParameterForm>,
    },
    /// Text that the schema judges as one string.
    Text(SchemaId),
    /// Nothing is said about it but its type.
    Any,
}

/// Index into [`Api::schemas`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub usize);

/// A schema: all that is set in it must hold.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// Nothing fits: `false`, or what only answers have (`readOnly`).
    pub never: bool,
    pub types: Option<Types>,
    /// Each list must hold the value.
    pub one_of_values: Vec<Vec<Literal>>,
    pub format: Option<Format>,
    pub numbers: Vec<NumberRule>,
    pub text: Option<Box<TextRules>>,
    pub list: Option<Box<ListRules>>,
    pub object: Option<Box<ObjectRules>>,
    /// `allOf` and `$ref`.
    pub all: Vec<SchemaId>,
    /// Not empty if there.
    pub any: Option<Vec<SchemaId>>,
    /// Exactly one.
    pub one: Option<Vec<SchemaId>>,
    pub not: Option<SchemaId>,
    /// `if`, and what then and else must hold.
    pub branch: Option<(SchemaId, Option<SchemaId>, Option<SchemaId>)>,
}

impl Schema {
    /// Schemas that judge the same value.
    pub fn in_place(&self) -> impl Iterator<Item = SchemaId> + '_ {
        let branch = self.branch.iter().flat_map(|(condition, yes, no)| [Some(*condition), *yes, *no]).flatten();
        let dependent = self.object.iter().flat_map(|rules| rules.dependent_schemas.iter().map(|(_, schema)| *schema));
        let groups = self.any.iter().chain(&self.one).flatten();
        self.all.iter().chain(groups).copied().chain(self.not).chain(branch).chain(dependent)
    }
}

/// Types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Types(u8);

impl Types {
    pub const NULL: Self = Self(1);
    pub const BOOLEAN: Self = Self(2);
    pub const INTEGER: Self = Self(4);
    /// Integers as well.
    pub const NUMBER: Self = Self(8 | 4);
    pub const STRING: Self = Self(16);
    pub const ARRAY: Self = Self(32);
    pub const OBJECT: Self = Self(64);

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "string" => Self::STRING,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => return None,
        })
    }

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A value of a document, for comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    List(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberRule {
    AtLeast(Decimal),
    Above(Decimal),
    AtMost(Decimal),
    Below(Decimal),
    /// Positive, with few digits.
    MultipleOf(Decimal),
}

/// Lengths in characters.
#[derive(Debug, Clone, Default)]
pub struct TextRules {
    pub min: usize,
    pub max: Option<usize>,
    /// Index into [`Api::patterns`].
    pub pattern: Option<usize>,
}

#[derive(Debug, Clone, Default)]
pub struct ListRules {
    pub min: usize,
    pub max: Option<usize>,
    pub unique: bool,
    /// Of the first items, one each.
    pub first: Vec<SchemaId>,
    /// Of the items after those.
    pub items: Option<SchemaId>,
    /// How many items must match: at least, at most.
    pub contains: Option<(SchemaId, usize, Option<usize>)>,
}

#[derive(Debug, Clone, Default)]
pub struct ObjectRules {
    pub min: usize,
    pub max: Option<usize>,
    pub required: Vec<String>,
    pub properties: BTreeMap<String, SchemaId>,
    /// By index into [`Api::patterns`].
    pub by_pattern: Vec<(usize, SchemaId)>,
    /// Of members that neither names.
    pub additional: Option<SchemaId>,
    /// Of every name.
    pub names: Option<SchemaId>,
    pub dependent_required: Vec<(String, Vec<String>)>,
    pub dependent_schemas: Vec<(String, SchemaId)>,
}

/// Formats that are checked. Those of numbers hold for numbers, the others for strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    Int32,
    /// Also lets integers be longer than a double holds them exactly.
    Int64,
    Float,
    Double,
    Byte,
    Password,
    Date,
    Time,
    DateTime,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Uri,
    UriReference,
    Uuid,
    JsonPointer,
}

impl Format {
    pub const ALL: [(&'static str, Self); 17] = [
        ("int32", Self::Int32),
        ("int64", Self::Int64),
        ("float", Self::Float),
        ("double", Self::Double),
        ("byte", Self::Byte),
        ("password", Self::Password),
        ("date", Self::Date),
        ("time", Self::Time),
        ("date-time", Self::DateTime),
        ("email", Self::Email),
        ("hostname", Self::Hostname),
        ("ipv4", Self::Ipv4),
        ("ipv6", Self::Ipv6),
        ("uri", Self::Uri),
        ("uri-reference", Self::UriReference),
        ("uuid", Self::Uuid),
        ("json-pointer", Self::JsonPointer),
    ];

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}
