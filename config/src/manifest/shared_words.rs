//! Words that manifests of several kinds use, most of them for enums of the snapshot.

use crate::decode::words;
use crate::{Action, DataClass, Part, PrincipalType, TlsVersion};

words! {
    /// Who may be asking.
    impl PrincipalType {
        /// An end user.
        (PrincipalType::User) = "User",
        /// A service that acts for itself.
        (PrincipalType::ServiceAccount) = "ServiceAccount",
        /// An AI execution context, alone or on behalf of a user.
        (PrincipalType::Agent) = "Agent",
        /// A component of the platform.
        (PrincipalType::Component) = "Component",
    }
}

/// Who a rule may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RulePrincipal(pub PrincipalType);

words! {
    /// Who a rule may be about.
    impl RulePrincipal {
        /// An end user.
        (RulePrincipal(PrincipalType::User)) = "User",
        /// A service that acts for itself.
        (RulePrincipal(PrincipalType::ServiceAccount)) = "ServiceAccount",
        /// An AI execution context, alone or on behalf of a user.
        (RulePrincipal(PrincipalType::Agent)) = "Agent",
        /// A component of the platform.
        (RulePrincipal(PrincipalType::Component)) = "Component",
        /// Who came without a credential, on a route that an exception for PV-010 opens.
        (RulePrincipal(PrincipalType::Anonymous)) = "Anonymous",
    }
}

words! {
    /// Where in a message a text stands. Which parts a route can show follows from its dialect.
    impl Part {
        /// Instructions of the system or developer.
        (Part::System) = "System",
        /// What the user wrote.
        (Part::User) = "User",
        /// What the model answered, now or earlier in the conversation.
        (Part::Assistant) = "Assistant",
        /// What the model shows of its reasoning.
        (Part::Reasoning) = "Reasoning",
        /// Names, descriptions and schemas of tools that are offered.
        (Part::ToolDefinition) = "ToolDefinition",
        /// What the model passes to a tool.
        (Part::ToolArguments) = "ToolArguments",
        /// What a tool gave back.
        (Part::ToolResult) = "ToolResult",
        /// Text of an MCP resource or prompt.
        (Part::Resource) = "Resource",
        /// A question of an MCP server to the user.
        (Part::Elicitation) = "Elicitation",
        /// Parts of an A2A message.
        (Part::AgentMessage) = "AgentMessage",
        /// Text to be embedded.
        (Part::Embedding) = "Embedding",
        /// Header values.
        (Part::HttpHeader) = "HttpHeader",
        /// The query.
        (Part::HttpQuery) = "HttpQuery",
        /// A body that is not parsed further.
        (Part::HttpBody) = "HttpBody",
    }
}

words! {
    /// How sensitive data is, in this order.
    impl DataClass {
        /// For everybody.
        (DataClass::Public) = "Public",
        /// For the organisation.
        (DataClass::Internal) = "Internal",
        /// For those who need it.
        (DataClass::Confidential) = "Confidential",
        /// Harmful in the wrong hands.
        (DataClass::Restricted) = "Restricted",
    }
}

words! {
    /// A version of TLS.
    impl TlsVersion {
        /// TLS 1.2, with AEAD and ECDHE only.
        (TlsVersion::V1_2) = "TLSv1.2",
        /// TLS 1.3.
        (TlsVersion::V1_3) = "TLSv1.3",
    }
    never { "SSLv3", "TLSv1.0", "TLSv1", "TLSv1.1" } with 30, "`{}` is broken", "use `TLSv1.3`, or `TLSv1.2`"
}

words! {
    /// What is done, or a group of it.
    pub enum ActionWord {
        /// HTTP GET and HEAD; in `observe`.
        Read = "read",
        /// HTTP POST; in `modify`.
        Create = "create",
        /// HTTP PUT and PATCH; in `modify`.
        Update = "update",
        /// HTTP DELETE; in `modify`.
        Delete = "delete",
        /// A completion of a model; in `execute`.
        Chat = "chat",
        /// Embeddings of a model; in `execute`.
        Embed = "embed",
        /// The group of everything that only looks.
        Observe = "observe",
        /// The group of everything that changes something.
        Modify = "modify",
        /// The group of everything that makes something run.
        Execute = "execute",
    }
    later {
        "readResource", "getPrompt", "listTools", "subscribe", "callTool", "answerInput", "manageTask", "readCard", "readTask",
        "sendMessage", "cancelTask", "managePush",
    }
}

impl ActionWord {
    /// The actions it stands for: itself, or those of the group.
    #[must_use]
    pub fn actions(self) -> Vec<Action> {
        let group = |name: &str| Action::ALL.into_iter().filter(|action| action.group() == name).collect();
        match self {
            Self::Read => vec![Action::Read],
            Self::Create => vec![Action::Create],
            Self::Update => vec![Action::Update],
            Self::Delete => vec![Action::Delete],
            Self::Chat => vec![Action::Chat],
            Self::Embed => vec![Action::Embed],
            Self::Observe => group("observe"),
            Self::Modify => group("modify"),
            Self::Execute => group("execute"),
        }
    }

    /// Whether it names a group.
    #[must_use]
    pub fn is_group(self) -> bool {
        matches!(self, Self::Observe | Self::Modify | Self::Execute)
    }
}
