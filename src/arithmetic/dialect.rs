//! The dialects: whose arithmetic a text is evaluated with.

use crate::choice::choices;

choices! {
    /// The rules of arithmetic.
    pub enum Dialect {
        /// Python's: 7 / 2 is 3.5.
        Python = "python",
        /// C's, on integers only: 7 / 2 is 3, -7 / 2 is -3 and -7 % 2 is -1.
        Integer = "integer",
    }
}
