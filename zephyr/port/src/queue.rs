//! Message queues.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::sys;

/// A `k_msgq` of `T`: one of the `CONFIG_WSS_QUEUES`, or the application's own.
pub struct Queue<T> {
    queue: NonNull<c_void>,
    entries: PhantomData<fn(T) -> T>,
}

// SAFETY: a k_msgq may be used on any thread, and entries move from one to another.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Queue<T> {}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Queue<T> {}

impl<T: Copy> Queue<T> {
    /// One of the service's, for `depth` entries. `None` if all are in use, or are for fewer.
    #[must_use]
    pub fn new(depth: usize) -> Option<Self> {
        let queue = sys::wss_port_queue_new(depth, size_of::<T>());
        Some(Self {
            queue: NonNull::new(queue)?,
            entries: PhantomData,
        })
    }

    /// The application's own.
    ///
    /// # Safety
    /// It is a `k_msgq` that lasts, on which nobody puts anything but `T`.
    #[must_use]
    pub const unsafe fn own(queue: NonNull<c_void>) -> Self {
        Self {
            queue,
            entries: PhantomData,
        }
    }

    /// Puts an entry on it, if there is room.
    #[must_use]
    pub fn put(self, entry: &T) -> bool {
        let entry: *const T = entry;
        // SAFETY: the queue is static, and copies an entry of this size.
        unsafe { sys::wss_port_queue_put(self.queue.as_ptr(), entry.cast()) }
    }

    /// Takes the oldest entry, waiting for one for `timeout_ms`, or below 0 as long as it takes.
    #[must_use]
    pub fn take(self, timeout_ms: i32) -> Option<T> {
        let mut entry = MaybeUninit::<T>::uninit();
        let room = entry.as_mut_ptr().cast();
        // SAFETY: the queue is static, and there is room for an entry of this size.
        let taken = unsafe { sys::wss_port_queue_get(self.queue.as_ptr(), room, timeout_ms) };
        // SAFETY: one was copied there, which somebody had put.
        taken.then(|| unsafe { entry.assume_init() })
    }

    /// Wakes up those who wait, drops what is on it and, if it is the service's, gives it back. It
    /// may be somebody else's then.
    pub fn end(self) {
        // SAFETY: the queue is static.
        unsafe { sys::wss_port_queue_end(self.queue.as_ptr()) };
    }
}
