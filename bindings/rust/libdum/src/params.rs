// SPDX-License-Identifier: MIT
//! Options by name.

use libdum_sys as sys;

use crate::call::{check, text};
use crate::Result;

/// The value of an option: a number or a text. Made from either.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Of an option that is a whole number or a real one.
    Number(f64),
    /// Of an option that is a text.
    Text(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_string())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl From<$type> for Value {
            fn from(number: $type) -> Value {
                Value::Number(number.into())
            }
        }
    )*};
}

numbers! { f64 f32 i32 u32 }

macro_rules! large_numbers {
    ($($type:ty)*) => {$(
        impl From<$type> for Value {
            /// From 2^53 on, a number loses its last digits; no option goes as far.
            fn from(number: $type) -> Value {
                Value::Number(number as f64)
            }
        }
    )*};
}

large_numbers! { i64 u64 usize }

/// What an option can be.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ParamKind {
    /// A whole number from `min` to `max`.
    #[allow(missing_docs)]
    Integer { default: f64, min: f64, max: f64 },
    /// A number from `min` to `max`.
    #[allow(missing_docs)]
    Real { default: f64, min: f64, max: f64 },
    /// A text: one of `choices`, where there are some.
    #[allow(missing_docs)]
    Text { default: String, choices: Vec<String> },
}

/// An option of a head, a scorer or a monitor.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Param {
    /// Its name.
    pub name: String,
    /// What it can be, and what it is by default.
    pub kind: ParamKind,
    /// What it does, in one line.
    pub help: String,
}

/// The table that two functions of the library give.
pub(crate) fn table(
    number: i32,
    get: impl Fn(i32, *mut sys::dum_param_info) -> sys::dum_status,
) -> Result<Vec<Param>> {
    (0..number)
        .map(|index| {
            let mut info = sys::dum_param_info {
                struct_size: std::mem::size_of::<sys::dum_param_info>(),
                ..Default::default()
            };
            check(|| get(index, &mut info))?;
            let (default, min, max) = (info.default_number, info.min, info.max);
            // SAFETY: the texts of a table are NULL or static.
            let own = |pointer| unsafe { text(pointer) }.unwrap_or_default().to_string();
            let kind = match u32::try_from(info.type_) {
                Ok(sys::DUM_PARAM_INTEGER) => ParamKind::Integer { default, min, max },
                Ok(sys::DUM_PARAM_REAL) => ParamKind::Real { default, min, max },
                _ => {
                    let choices = own(info.choices);
                    let choices = choices.split('|').filter(|choice| !choice.is_empty());
                    ParamKind::Text {
                        default: own(info.default_text),
                        choices: choices.map(String::from).collect(),
                    }
                }
            };
            Ok(Param { name: own(info.name), kind, help: own(info.help) })
        })
        .collect()
}

/// The methods for options, of a type with a member `handle`.
macro_rules! options {
    ($set_number:ident, $set_text:ident, $get_number:ident, $get_text:ident) => {
        /// Sets an option, before fit.
        pub fn set(&mut self, name: &str, value: impl Into<crate::Value>) -> crate::Result<()> {
            let name = crate::call::c_text("the option", name)?;
            match value.into() {
                crate::Value::Number(value) => {
                    // SAFETY: the handle is needed for the call alone: &mut self. The name lives during it.
                    crate::call::check(|| unsafe {
                        sys::$set_number(self.handle.get_mut(), name.as_ptr(), value)
                    })
                }
                crate::Value::Text(value) => {
                    let value = crate::call::c_text("the value", &value)?;
                    // SAFETY: as above; the value is copied.
                    crate::call::check(|| unsafe {
                        sys::$set_text(self.handle.get_mut(), name.as_ptr(), value.as_ptr())
                    })
                }
            }
        }

        /// Sets an option, and returns the object again: for several in a row.
        pub fn with(mut self, name: &str, value: impl Into<crate::Value>) -> crate::Result<Self> {
            self.set(name, value)?;
            Ok(self)
        }

        /// The value of an option that is a number.
        pub fn number(&self, name: &str) -> crate::Result<f64> {
            let name = crate::call::c_text("the option", name)?;
            let mut value = 0.0;
            // SAFETY: the handle lives as long as self, the rest during the call.
            crate::call::check(|| unsafe { sys::$get_number(self.handle.get(), name.as_ptr(), &mut value) })?;
            Ok(value)
        }

        /// The value of an option that is a text.
        pub fn text(&self, name: &str) -> crate::Result<String> {
            let name = crate::call::c_text("the option", name)?;
            let mut value = std::ptr::null();
            // SAFETY: the handle lives as long as self, the rest during the call.
            crate::call::check(|| unsafe { sys::$get_text(self.handle.get(), name.as_ptr(), &mut value) })?;
            // SAFETY: the text lives while the options are not set, which needs &mut self.
            Ok(unsafe { crate::call::text(value) }.unwrap_or_default().to_string())
        }
    };
}

pub(crate) use options;
