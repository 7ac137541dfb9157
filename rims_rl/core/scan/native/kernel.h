// The whole kernel for one instruction set; scan.cpp includes it once for each.

#include "simd.h"

#include "layout.h"

#include "attention.h"

#include "forward.h"

#include "backward.h"
