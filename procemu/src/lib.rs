//! `/proc/sys` keys that a program needs and a kernel lacks, as a tmpfs snapshot mounted over procfs.

mod key;
mod probe;
mod profile;
mod schema;
mod sys;
mod table;
mod value;

pub use key::{KeyError, SysctlKey};
pub use probe::Probe;
pub use profile::{Profile, ProfileError};
pub use schema::json_schema;
pub use table::{Entry, Mode, Table, TableError, When};
pub use value::{Scalar, Separator, Value, ValueError, ValueSource};
