//! Kinds of expressions, as Python tells them apart when one tries to assign to them.

/// A kind of expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Attribute,
    Await,
    Call,
    Comparison,
    Conditional,
    Dict,
    DictComprehension,
    Ellipsis,
    Expression,
    False,
    Generator,
    Lambda,
    List,
    ListComprehension,
    Literal,
    Name,
    NamedExpression,
    None,
    Set,
    SetComprehension,
    Starred,
    Subscript,
    True,
    Tuple,
    Yield,
}

impl Shape {
    /// What Python calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Attribute => "attribute",
            Self::Await => "await expression",
            Self::Call => "function call",
            Self::Comparison => "comparison",
            Self::Conditional => "conditional expression",
            Self::Dict => "dict literal",
            Self::DictComprehension => "dict comprehension",
            Self::Ellipsis => "ellipsis",
            Self::Expression => "expression",
            Self::False => "False",
            Self::Generator => "generator expression",
            Self::Lambda => "lambda",
            Self::List => "list",
            Self::ListComprehension => "list comprehension",
            Self::Literal => "literal",
            Self::Name => "name",
            Self::NamedExpression => "named expression",
            Self::None => "None",
            Self::Set => "set display",
            Self::SetComprehension => "set comprehension",
            Self::Starred => "starred",
            Self::Subscript => "subscript",
            Self::True => "True",
            Self::Tuple => "tuple",
            Self::Yield => "yield expression",
        }
    }

    /// Whether it may be given a value, as far as can be told from outside.
    pub(super) fn is_target(self) -> bool {
        matches!(
            self,
            Self::Attribute
                | Self::List
                | Self::Name
                | Self::Starred
                | Self::Subscript
                | Self::Tuple
        )
    }

    /// Whether nobody is thought to mean to assign to it.
    pub(super) fn is_no_target(self) -> bool {
        matches!(
            self,
            Self::False | Self::Generator | Self::List | Self::None | Self::True | Self::Tuple
        )
    }
}
