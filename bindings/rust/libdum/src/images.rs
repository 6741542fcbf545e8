// SPDX-License-Identifier: MIT
//! Random views and corruptions of images (docs/images.md): rows of height x width x channels, channels last, values 0 to 255.

use libdum_sys as sys;

use crate::call::{c_text, check, text};
use crate::{Context, Error, Result, Rows};

/// The size of images; channels: 1 (grey) or 3 (red, green, blue).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Size {
    pub height: u32,
    pub width: u32,
    pub channels: u32,
}

impl Size {
    /// Height, width, channels for C, where the rows are as long as they say.
    fn of(self, rows: &Rows<'_>) -> Result<(i32, i32, i32)> {
        let c = |side: u32| i32::try_from(side).ok();
        let cols = (self.height as usize)
            .checked_mul(self.width as usize)
            .and_then(|pixels| pixels.checked_mul(self.channels as usize));
        match (c(self.height), c(self.width), c(self.channels)) {
            (Some(height), Some(width), Some(channels)) if cols == Some(rows.cols()) => {
                Ok((height, width, channels))
            }
            _ => Err(Error::Shape(format!("rows of {} columns are no images of {self:?}", rows.cols()))),
        }
    }
}

/// The options of random views. The defaults are SimCLR's; a chance or strength that is negative means never.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Augment {
    options: sys::dum_augment_options,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, value: f64) -> Augment {
            self.options.$name = value;
            self
        }
    )*};
}

impl Augment {
    /// The defaults.
    pub fn new() -> Augment {
        Augment::default()
    }

    setters! {
        /// The smallest share of the area that a crop keeps (0.2); 1: no crop.
        crop_min
        /// The largest share (1).
        crop_max
        /// Chance of a horizontal flip (0.5).
        flip
        /// Chance of the next four, in random order (0.8).
        jitter
        /// Times 1 +- this (0.4).
        brightness
        /// Away from the mean of the grey image, times 1 +- this (0.4).
        contrast
        /// Away from the grey of each pixel, times 1 +- this (0.4).
        saturation
        /// Turned by +- this, in turns (0.1).
        hue
        /// Chance of greyscale (0.2).
        grey
        /// Chance of a Gaussian blur (0.5, but never for images below 64 x 64).
        blur
    }

    /// View number `view` of each image, one after the other. A view depends on the image, its number, `seed` and `view`
    /// alone.
    ///
    /// ```
    /// use libdum::images::{Augment, Size};
    /// use libdum::{Context, Rows};
    ///
    /// let images: Vec<f32> = (0..2 * 8 * 8 * 3).map(|i| (i % 256) as f32).collect();
    /// let size = Size { height: 8, width: 8, channels: 3 };
    /// let rows = Rows::new(&images, 8 * 8 * 3)?;
    /// let views = Augment::new().flip(-1.0).apply(&Context::new()?, size, rows, 1, 0)?;
    /// assert_eq!(views.len(), images.len());
    /// # Ok::<(), libdum::Error>(())
    /// ```
    pub fn apply<'r>(
        &self,
        context: &Context,
        size: Size,
        images: impl Into<Rows<'r>>,
        seed: u64,
        view: u32,
    ) -> Result<Vec<f32>> {
        let images = images.into();
        let (height, width, channels) = size.of(&images)?;
        let options = sys::dum_augment_options {
            struct_size: std::mem::size_of::<sys::dum_augment_options>(),
            ..self.options
        };
        let mut out = vec![0.0; images.len() * images.cols()];
        // SAFETY: the images lie within a slice, and their size is that of a row; out is as large. The context lives as long
        // as the reference, and dum.h allows this call on any threads at once.
        check(|| unsafe {
            sys::dum_image_augment(
                context.as_ptr(),
                &options,
                height,
                width,
                channels,
                images.as_ptr(),
                images.c_rows(),
                images.c_stride(),
                seed,
                view,
                out.as_mut_ptr(),
            )
        })?;
        Ok(out)
    }
}

/// The names that [`corrupt`] knows.
pub fn corruptions() -> Vec<&'static str> {
    // SAFETY: takes nothing.
    let number = unsafe { sys::dum_corruption_count() };
    // SAFETY: the texts are static.
    (0..number).filter_map(|index| unsafe { text(sys::dum_corruption_name(index)) }).collect()
}

/// Each image, corrupted as in CIFAR-10-C (Hendrycks & Dietterich 2019), at a severity from 1 (light) to 5. What is random
/// depends on the image's number, `name` and `seed` alone.
///
/// ```
/// use libdum::images::{corrupt, Size};
/// use libdum::{Context, Rows};
///
/// let grey = vec![100.0; 32 * 32];
/// let size = Size { height: 32, width: 32, channels: 1 };
/// let foggy = corrupt(&Context::new()?, "fog", 3, 1, size, Rows::row(&grey)?)?;
/// assert!(foggy.iter().all(|value| (0.0..=255.0).contains(value)));
/// # Ok::<(), libdum::Error>(())
/// ```
pub fn corrupt<'r>(
    context: &Context,
    name: &str,
    severity: u32,
    seed: u64,
    size: Size,
    images: impl Into<Rows<'r>>,
) -> Result<Vec<f32>> {
    let images = images.into();
    let name = c_text("the name", name)?;
    let (height, width, channels) = size.of(&images)?;
    let severity = i32::try_from(severity).unwrap_or(i32::MAX);
    let mut out = vec![0.0; images.len() * images.cols()];
    // SAFETY: the images lie within a slice, and their size is that of a row; out is as large, the name lives during the call.
    // The context lives as long as the reference, and dum.h allows this call on any threads at once.
    check(|| unsafe {
        sys::dum_image_corrupt(
            context.as_ptr(),
            name.as_ptr(),
            severity,
            seed,
            height,
            width,
            channels,
            images.as_ptr(),
            images.c_rows(),
            images.c_stride(),
            out.as_mut_ptr(),
        )
    })?;
    Ok(out)
}
