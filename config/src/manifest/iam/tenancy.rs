//! Whose the resources are.

use crate::decode::{At, Setting, spec, words};

spec! {
    /// Whose the resources are. A principal of another tenant is refused by a built-in rule.
    pub struct Tenancy {
        /// Where a route's tenant comes from.
        [E] resource: At<ResourceTenant>,
        /// Whether tenants may reach each other's resources.
        [E] cross_tenant: Setting<CrossTenant> = "Forbid",
    }
}

spec! {
    /// Where the tenant of a route's resources comes from.
    pub struct ResourceTenant {
        /// The kind of source.
        [E] from: At<ResourceTenantSource>,
        /// Name of the label.
        [E] key: At<super::super::LabelName>,
    }
}

words! {
    /// Sources of a resource's tenant.
    pub enum ResourceTenantSource {
        /// A label of the route.
        Label = "Label",
    }
    later { "Host", "PathSegment", "Header" }
}

words! {
    /// Access between tenants.
    pub enum CrossTenant {
        /// There is none.
        Forbid = "Forbid",
    }
}
